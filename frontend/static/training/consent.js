// @ts-check
/** The switch on the talk page: tells the server at once, and shows what holds there. */

for (const form of document.querySelectorAll("form.consent")) {
  if (!(form instanceof HTMLFormElement)) continue;
  const given = /** @type {HTMLInputElement} */ (form.elements.namedItem("given"));
  given.addEventListener("change", async () => {
    const wanted = given.checked;
    given.disabled = true;
    try {
      const body = new URLSearchParams({ given: String(wanted) });
      const token = /** @type {HTMLInputElement} */ (form.elements.namedItem("csrfmiddlewaretoken")).value;
      const answer = await fetch(form.action, { method: "POST", body, headers: { "X-CSRFToken": token } });
      given.checked = answer.ok ? Boolean((await answer.json()).given) : !wanted;
    } catch {
      given.checked = !wanted; // the server is away: nothing has changed there
    }
    given.disabled = false;
  });
}
