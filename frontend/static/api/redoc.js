// Starts Redoc in the page's own element; a file, since the policy allows no inline script.
// @ts-nocheck: Redoc's bundle brings no types
const place = document.getElementById("redoc");
window.Redoc.init(place.dataset.schema, { hideDownloadButton: false, nativeScrollbars: true }, place);
