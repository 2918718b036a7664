// The chat in a preview: it is told what stands in the form, and sends nothing.
{
  const config = JSON.parse(document.currentScript.dataset.config);
  const really = fetch;
  window.fetch = async (address, options) => {
    if (new URL(address, location).pathname !== "/v1/widget") throw new TypeError("A preview sends nothing.");
    const response = await really(address, options);
    return response.ok ? Response.json({ ...(await response.json()), ...config }) : response;
  };
  // The greeting comes once a visit; here it comes each time.
  sessionStorage.removeItem(`bulkhead greeted ${location.origin}`);
}
