/** A contender's process, and what may be asked of it. */

import { fork } from "node:child_process";

/** @typedef {Awaited<ReturnType<typeof start>>} Contender */

/**
 * @param {string} name of a module in contenders/
 * @param {Readonly<Record<string, string>>} [env] besides this process's own
 */
export async function start(name, env = {}) {
  const child = fork(new URL("worker.mjs", import.meta.url), [name], {
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
  return { name, version, engine, ask, stop: () => child.kill() };
}
