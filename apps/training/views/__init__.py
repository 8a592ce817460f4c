"""Pages of the dashboard: thin callers of services and selectors."""
