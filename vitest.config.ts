import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Many tests wait for processes they started: leaving no core idle halves the run on a small machine.
    maxWorkers: Math.max(2, availableParallelism()),
  },
});
