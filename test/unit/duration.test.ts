import { expect, test } from "vitest";
import { parseDuration } from "../../src/duration.js";
import { expectCode } from "../kit.js";

test.each([
  ["1ms", 1],
  ["0.5ms", 1],
  ["1.5s", 1500],
  ["2m", 120_000],
  ["1h", 3_600_000],
  ["90d", 7_776_000_000],
])("%s is %i ms", (text, ms) => {
  expect(parseDuration(text, "maxAge")).toBe(ms);
});

test.each([
  "",
  "0s",
  "0.1ms",
  "-1s",
  "1",
  "s",
  "1 s",
  "1S",
  "1e3s",
  ".5s",
  "1.s",
  "NaNms",
  `${"9".repeat(400)}d`,
  60,
  null,
])("%j is no duration", async (text) => {
  await expectCode(() => parseDuration(text, "maxAge"), "ERR_INPUT");
});
