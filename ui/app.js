// What script adds to a page that is complete without it.
import { follow } from "./live.js";
import { dragging } from "./drag.js";
import { listen } from "./keys.js";
import { switches } from "./switches.js";

switches();
listen();
dragging(document);
follow();
