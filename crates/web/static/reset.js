// Takes the code out of the address of a mailed link, where no server sees it, into the form.

const code = location.hash.slice(1);
const field = document.querySelector("input[name=token]");
if (code && field instanceof HTMLInputElement) {
  field.value = code;
  history.replaceState(null, "", location.pathname);
}
