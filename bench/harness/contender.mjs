/** A contender's process, and what may be asked of it. */

import { fork } from "node:child_process";

/** @typedef {Awaited<ReturnType<typeof start>>} Contender */

/**
 * Contenders that are a module of another name in another environment. On its own keyladder has one thread, as the peers
 * have: what more threads bring is a case of its own.
 * @type {Readonly<Record<string, { module: string, env: Readonly<Record<string, string>> }>>}
 */
const ENVIRONMENTS = {
  keyladder: { module: "keyladder", env: { KEYLADDER_POOL: "0" } },
  "two-threads": { module: "keyladder", env: { KEYLADDER_POOL: "1" } },
};

/** @param {string} name of a module in contenders/, or of an environment */
export async function start(name) {
  const { module, env } = ENVIRONMENTS[name] ?? { module: name, env: {} };
  const child = fork(new URL("worker.mjs", import.meta.url), [module], {
    serialization: "advanced",
    env: { ...process.env, ...env },
  });
  /** Requests are answered in turn. @param {Record<string, unknown>} request @returns {Promise<any>} */
  const ask = (request) =>
    new Promise((resolve, reject) => {
      const exited = () => reject(new Error(`${name} ended`));
      child.once("exit", exited);
      child.once("message", (/** @type {any} */ answer) => {
        child.off("exit", exited);
        if (answer.failed) reject(new Error(`${name}: ${answer.failed}`));
        else resolve(answer);
      });
      child.send(request);
    });
  const { version, engine } = await ask({ verb: "about" });
  return { name, version, engine, ask, stop: () => child.disconnect() };
}
