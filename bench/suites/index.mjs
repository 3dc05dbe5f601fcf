/** Every suite, in the order it runs. */

import { SUITES as AEAD } from "./aead.mjs";
import { SUITES as MESSAGES } from "./messages.mjs";

export const SUITES = [...AEAD, ...MESSAGES];
