// What the scripts share: the markers that tell the simulator what to say, and the report of each case.

import assert from 'node:assert/strict';

export const TEXT = 'Grüße 👩‍👩‍👧‍👦 \u2028 日本語 \\u0041 "quoted"\r\ndata: [DONE]\n\n end';
export const ARGUMENTS = { city: 'Zürich 🏔', days: 3 };
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
export const STRANGER = `sk-cap-${'a'.repeat(52)}`;

export const parameters = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city', 'days'],
  additionalProperties: false,
};

const encode = (text) => Buffer.from(text).toString('base64url');
export const say = (text) => `SIM-SAY:${encode(text)}`;
export const callTool = (name, args) => `SIM-CALL:${encode(JSON.stringify({ name, arguments: args }))}`;
export const fault = (name) => `SIM-FAULT:${name}`;

export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'it did not fail' });
}

// Runs the cases side by side and prints one line of JSON for each.
export async function report(cases) {
  const reports = Object.entries(cases).map(async ([name, run]) => {
    try {
      await run();
      return { name, error: null };
    } catch (error) {
      return { name, error: String(error?.stack ?? error) };
    }
  });
  for (const line of await Promise.all(reports)) console.log(JSON.stringify(line));
}
