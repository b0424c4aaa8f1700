// For pages without the shell: times, copying, dialogs. No updates, no keys.
import { listenForCopies } from "./copying.js";
import { listenForDialogs } from "./dialogs.js";
import { showTimes } from "./times.js";

listenForCopies();
listenForDialogs();
showTimes(document);
document.querySelector("[autofocus]")?.focus();
