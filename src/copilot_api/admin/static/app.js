// Makes a page of the shell come alive. Without it the page can be read, and its forms work.
import { drawCharts } from "./charts.js";
import { listenForCopies, guardSecrets } from "./copying.js";
import { listenForDialogs } from "./dialogs.js";
import { prepareFilters } from "./filters.js";
import { listenForUpdates, onRenewed } from "./fragments.js";
import { listenForKeys } from "./keyboard.js";
import { goLive } from "./live.js";
import { listenForPreferences, showPreferences } from "./preferences.js";
import { listenForRows, prepareTables } from "./tables.js";
import { showTimes } from "./times.js";
import { showToasts } from "./toasts.js";

/** What has to be done with each piece of a page, at first and whenever it was renewed. */
function prepare(root) {
  showTimes(root);
  showPreferences(root);
  prepareTables(root);
  prepareFilters(root);
  drawCharts(root);
  guardSecrets(root);
  showToasts(root);
}

listenForPreferences();
listenForCopies();
listenForDialogs();
listenForRows();
listenForUpdates();
listenForKeys();
onRenewed(prepare);
prepare(document);
goLive();
