import assert from "node:assert/strict";
import { test } from "node:test";

import { aligned, metricNames } from "../static/training/charts.js";

const run = (columns) => ({ name: "x", over: true, columns });

test("the loss comes first, then what validation measures, then the rest", () => {
  const columns = { step: [1, 2, 3, 4], grad_norm: [1, 1, 1, 1], stoi: [null, null, null, 0.5], loss: [4, 3, 2, 1] };
  assert.deepEqual(metricNames([run(columns)]), ["loss", "stoi", "grad_norm"]);
});

test("runs of different lengths share one axis", () => {
  const long = run({ step: [10, 20, 30], loss: [3, 2, 1] });
  const short = run({ step: [15, 20], loss: [9, 8] });
  assert.deepEqual(aligned([long, short], "loss"), [
    [10, 15, 20, 30],
    [3, null, 2, 1],
    [null, 9, 8, null],
  ]);
});

test("a metric that one run lacks is empty there", () => {
  const both = [run({ step: [1], loss: [2] }), run({ step: [1], other: [3] })];
  assert.deepEqual(aligned(both, "loss"), [[1], [2], [null]]);
});
