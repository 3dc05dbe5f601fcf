/**
 * Runs the ```ts and ```js blocks of the given Markdown files as a user would who pastes them into the current folder:
 * the types of ts blocks are checked, then each block runs twice, and what it prints is compared with the comments behind its `console.log`s.
 */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));
const flags = "--module nodenext --target es2023 --strict --exactOptionalPropertyTypes --types node".split(" ");

let ran = 0;
for (const file of process.argv.slice(2)) {
  const blocks = [...readFileSync(file, "utf8").matchAll(/^```(ts|js)\n(.*?)^```/gms)];
  for (const [index, [, language, block = ""]] of blocks.entries()) {
    const name = `${basename(file, ".md")}-${index}`;
    writeFileSync(`${name}.m${language}`, block);
    if (language === "ts") execFileSync(process.execPath, [tsc, ...flags, `${name}.mts`], { stdio: "inherit" });
    const expected = [...block.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map((match) => match[1]).join("\n");
    for (const time of ["first", "second"]) {
      const printed = execFileSync(process.execPath, [`${name}.mjs`], { encoding: "utf8" }).trimEnd();
      if (expected === "" || expected !== printed) {
        throw new Error(
          `${name}, ${time} run: printed ${JSON.stringify(printed)}, the page says ${JSON.stringify(expected)}`,
        );
      }
    }
    ran++;
  }
}
if (ran === 0) throw new Error("no code block was found");
console.log(`${ran} code blocks ran twice and printed what their pages say`);
