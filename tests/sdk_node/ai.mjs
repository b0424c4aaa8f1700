// The AI SDK (`ai`), which many agents are built on: each of its providers with a model of every upstream endpoint.
//
// GATEWAY_URL is the address without /v1, GATEWAY_KEY a client key.

import assert from 'node:assert/strict';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import { ARGUMENTS, PIXEL, STRANGER, TEXT, callTool, failure, fault, parameters, report, say } from './cases.mjs';

const MODELS = ['gpt-4.1', 'gemini-2.5-pro', 'gpt-5.4', 'claude-sonnet-4.6', 'claude-opus-4.8'];
const ONE_EACH = ['gpt-4.1', 'gpt-5.4', 'claude-opus-4.8'];

function providers(apiKey) {
  const settings = { apiKey, baseURL: `${process.env.GATEWAY_URL}/v1` };
  const openai = createOpenAI(settings);
  return {
    compatible: createOpenAICompatible({ ...settings, name: 'gateway', includeUsage: true }),
    'openai chat': openai.chat,
    'openai responses': openai.responses,
    anthropic: createAnthropic(settings),
  };
}

const PROVIDERS = providers(process.env.GATEWAY_KEY);

// Copilot keeps no answers; by default the provider for Responses would refer to what it takes for kept.
const STATELESS = { openai: { store: false } };

// Runs side by side with every pair of a provider and a model, with the retries of the SDK off.
async function everyPair(models, run) {
  const pairs = Object.entries(PROVIDERS).flatMap(([name, provider]) => models.map((id) => [name, provider, id]));
  await Promise.all(
    pairs.map(async ([name, provider, id]) => {
      try {
        await run({ model: provider(id), maxRetries: 0, providerOptions: STATELESS });
      } catch (error) {
        throw new Error(`${name}, ${id}: ${error?.stack ?? error}`, { cause: error });
      }
    }),
  );
}

const weather = (calls) => ({
  get_weather: tool({
    description: 'The weather of a city.',
    inputSchema: jsonSchema(parameters),
    execute: async (input) => {
      calls.push(input);
      return '21° ☀';
    },
  }),
});

function checkUsage(usage) {
  assert.ok(usage.inputTokens > 0, JSON.stringify(usage));
  assert.ok(usage.outputTokens > 0, JSON.stringify(usage));
}

async function read(result) {
  const parts = [];
  for await (const part of result.fullStream) parts.push(part);
  return parts;
}

const cases = {
  'a text arrives as it was said whole': async () => {
    await everyPair(MODELS, async (settings) => {
      const answer = await generateText({ ...settings, prompt: say(TEXT) });
      assert.equal(answer.text, TEXT);
      assert.equal(answer.finishReason, 'stop');
      checkUsage(answer.usage);
    });
  },
  'a text arrives as it was said streamed': async () => {
    await everyPair(MODELS, async (settings) => {
      const result = streamText({ ...settings, prompt: say(TEXT), onError: () => {} });
      const parts = await read(result);
      const deltas = parts.filter((part) => part.type === 'text-delta');
      assert.equal(deltas.map((part) => part.text).join(''), TEXT);
      assert.ok(deltas.length >= 3);
      assert.equal(await result.finishReason, 'stop');
      checkUsage(await result.usage);
    });
  },
  'a tool loop whole': async () => {
    await everyPair(MODELS, async (settings) => {
      const calls = [];
      const answer = await generateText({
        ...settings,
        prompt: callTool('get_weather', ARGUMENTS),
        tools: weather(calls),
        stopWhen: stepCountIs(3),
      });
      assert.equal(answer.text, 'SIM-RESULT: 21° ☀');
      assert.deepEqual(calls, [ARGUMENTS]);
      assert.deepEqual(answer.steps.map((step) => step.finishReason), ['tool-calls', 'stop']);
    });
  },
  'a tool loop streamed': async () => {
    await everyPair(MODELS, async (settings) => {
      const calls = [];
      const result = streamText({
        ...settings,
        prompt: callTool('get_weather', ARGUMENTS),
        tools: weather(calls),
        stopWhen: stepCountIs(3),
        onError: () => {},
      });
      const errors = (await read(result)).filter((part) => part.type === 'error');
      assert.deepEqual(errors, []);
      assert.equal(await result.text, 'SIM-RESULT: 21° ☀');
      assert.deepEqual(calls, [ARGUMENTS]);
      const steps = await result.steps;
      assert.deepEqual(steps.map((step) => step.finishReason), ['tool-calls', 'stop']);
    });
  },
  'an object is made': async () => {
    await everyPair(ONE_EACH, async (settings) => {
      const prompt = say(JSON.stringify(ARGUMENTS));
      const answer = await generateObject({ ...settings, prompt, schema: jsonSchema(parameters) });
      assert.deepEqual(answer.object, ARGUMENTS);
    });
  },
  'an image is seen': async () => {
    const content = [
      { type: 'text', text: say('a picture') },
      { type: 'image', image: PIXEL, mediaType: 'image/png' },
    ];
    await everyPair(ONE_EACH, async (settings) => {
      const answer = await generateText({ ...settings, messages: [{ role: 'user', content }] });
      assert.equal(answer.text, 'a picture');
    });
  },
  'failures carry their status': async () => {
    await everyPair(ONE_EACH, async (settings) => {
      const statuses = { 429: 429, 504: 504, context_overflow_chat: 400 };
      await Promise.all(
        Object.entries(statuses).map(async ([name, status]) => {
          const error = await failure(generateText({ ...settings, prompt: fault(name) }));
          assert.ok(APICallError.isInstance(error), String(error));
          assert.equal(error.statusCode, status);
        }),
      );
    });
    for (const provider of Object.values(providers(STRANGER))) {
      const error = await failure(generateText({ model: provider('gpt-4.1'), maxRetries: 0, prompt: 'hello' }));
      assert.equal(error.statusCode, 401);
    }
    for (const provider of Object.values(PROVIDERS)) {
      const error = await failure(generateText({ model: provider('gpt-99'), maxRetries: 0, prompt: 'hello' }));
      assert.equal(error.statusCode, 404);
    }
  },
  'a stream that breaks is an error': async () => {
    await everyPair(ONE_EACH, async (settings) => {
      for (const name of ['cut', 'midstream-error']) {
        const parts = await read(streamText({ ...settings, prompt: fault(name), onError: () => {} }));
        assert.ok(parts.some((part) => part.type === 'error'), `${name}: ${JSON.stringify(parts.at(-1))}`);
      }
    });
  },
};

await report(cases);
