import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Threads run what is built, tests what is in src: those of the pool say what they mean themselves.
    env: { KEYLADDER_POOL: "0" },
    // Many tests wait for processes they started: leaving no core idle halves the run on a small machine.
    maxWorkers: Math.max(2, availableParallelism()),
  },
});
