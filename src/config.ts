/** `keyladder/config`: opens what the command line made. Re-exports only. */

export { loadConfig } from "./cli/config.js";
