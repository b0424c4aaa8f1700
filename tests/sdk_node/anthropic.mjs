// The official `@anthropic-ai/sdk` package for Node, unmodified, over real sockets.
//
// ANTHROPIC_BASE_URL (without /v1) and ANTHROPIC_API_KEY are read by the package itself; SCOPED_KEY is a key for
// gpt-4.1 only.

import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { ARGUMENTS, PIXEL, STRANGER, TEXT, callTool, collect, failure, fault, parameters, report, say } from './cases.mjs';

const anthropic = new Anthropic({ maxRetries: 0 });
const MODELS = ['claude-sonnet-4.5', 'claude-opus-4.8', 'gpt-5.4', 'gpt-4.1', 'gemini-2.5-pro'];
const ONE_EACH = ['claude-sonnet-4.5', 'gpt-5.4', 'gpt-4.1'];
const tool = { name: 'get_weather', description: 'The weather of a city.', input_schema: parameters };

const ask = (content) => [{ role: 'user', content }];
const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
const body = (model, prompt, more = {}) => ({ model, max_tokens: 500, messages: ask(prompt), ...more });

function check(error, kind, status, type) {
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.status, status);
  assert.equal(error.error.type, 'error');
  assert.equal(error.error.error.type, type);
  assert.match(error.requestID, /^req_/);
  assert.ok(error.message.includes(error.requestID));
}

const runnable = (calls) => ({
  ...tool,
  type: 'custom',
  parse: (input) => input,
  run: (input) => {
    calls.push(input);
    return '21° ☀';
  },
});

const cases = {
  'a text arrives as it was said whole': async () => {
    for (const model of MODELS) {
      const message = await anthropic.messages.create(body(model, say(TEXT)));
      assert.equal(textOf(message), TEXT);
      assert.equal(message.model, model);
      assert.equal(message.role, 'assistant');
      assert.equal(message.stop_reason, 'end_turn');
      assert.ok(message.usage.input_tokens > 0);
      assert.ok(message.usage.output_tokens > 0);
      assert.match(message._request_id, /^req_/);
    }
  },
  'a text arrives as it was said streamed': async () => {
    for (const model of MODELS) {
      const events = await collect(await anthropic.messages.create(body(model, say(TEXT), { stream: true })));
      const deltas = events.filter((event) => event.delta?.type === 'text_delta').map((event) => event.delta.text);
      assert.equal(deltas.join(''), TEXT);
      assert.ok(deltas.length >= 3);
      const kinds = events.map((event) => event.type);
      assert.equal(kinds[0], 'message_start');
      assert.deepEqual(kinds.slice(-2), ['message_delta', 'message_stop']);
      assert.equal(events[0].message.model, model);
      assert.ok(Number.isInteger(events[0].message.usage.input_tokens));
      assert.ok(events.at(-2).usage.output_tokens > 0);
      assert.equal(events.at(-2).delta.stop_reason, 'end_turn');
    }
  },
  'the stream helper gathers the answer': async () => {
    for (const model of MODELS) {
      const deltas = [];
      const stream = anthropic.messages.stream(body(model, say(TEXT))).on('text', (delta) => deltas.push(delta));
      const message = await stream.finalMessage();
      assert.equal(textOf(message), TEXT);
      assert.equal(deltas.join(''), TEXT);
      assert.equal(message.model, model);
      assert.ok(message.usage.output_tokens > 0);
    }
  },
  'a tool loop by hand, whole and streamed': async () => {
    for (const model of MODELS) {
      const request = body(model, callTool('get_weather', ARGUMENTS), { tools: [tool] });
      const whole = await anthropic.messages.create(request);
      const streamed = await anthropic.messages.stream(request).finalMessage();
      for (const first of [whole, streamed]) {
        assert.equal(first.stop_reason, 'tool_use');
        const [call] = first.content.filter((block) => block.type === 'tool_use');
        assert.deepEqual(call.input, ARGUMENTS);
        const result = { type: 'tool_result', tool_use_id: call.id, content: '21° ☀' };
        const messages = [
          ...request.messages,
          { role: 'assistant', content: first.content },
          { role: 'user', content: [result] },
        ];
        const second = await anthropic.messages.create({ ...request, messages });
        assert.equal(textOf(second), 'SIM-RESULT: 21° ☀');
      }
    }
  },
  'the tool runner runs the tool and answers whole': async () => {
    for (const model of MODELS) {
      const calls = [];
      const request = body(model, callTool('get_weather', ARGUMENTS), { tools: [runnable(calls)] });
      const message = await anthropic.beta.messages.toolRunner(request);
      assert.equal(textOf(message), 'SIM-RESULT: 21° ☀');
      assert.deepEqual(calls, [ARGUMENTS]);
    }
  },
  'the tool runner runs the tool and answers streamed': async () => {
    for (const model of MODELS) {
      const calls = [];
      const request = body(model, callTool('get_weather', ARGUMENTS), { tools: [runnable(calls)], stream: true });
      let last;
      for await (const stream of anthropic.beta.messages.toolRunner(request)) last = await stream.finalMessage();
      assert.equal(textOf(last), 'SIM-RESULT: 21° ☀');
      assert.deepEqual(calls, [ARGUMENTS]);
    }
  },
  'thoughts come and go back': async () => {
    for (const model of ['claude-sonnet-4.5', 'claude-sonnet-4.6', 'gpt-5.4']) {
      const request = body(model, callTool('get_weather', ARGUMENTS), {
        max_tokens: 4000,
        thinking: { type: 'enabled', budget_tokens: 2000 },
        tools: [tool],
      });
      const first = await anthropic.messages.stream(request).finalMessage();
      assert.equal(first.content[0].type, 'thinking');
      assert.ok(first.content[0].thinking);
      assert.ok(first.content[0].signature);
      const call = first.content.find((block) => block.type === 'tool_use');
      const messages = [
        ...request.messages,
        { role: 'assistant', content: first.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'dry' }] },
      ];
      assert.equal(textOf(await anthropic.messages.create({ ...request, messages })), 'SIM-RESULT: dry');
    }
  },
  'an image is seen': async () => {
    const content = [
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
      { type: 'text', text: say('a picture') },
    ];
    for (const model of MODELS) assert.equal(textOf(await anthropic.messages.create(body(model, content))), 'a picture');
  },
  'tokens are counted': async () => {
    for (const model of MODELS) {
      const counted = await anthropic.messages.countTokens({ model, messages: ask('hello'), tools: [tool] });
      assert.ok(counted.input_tokens > 0);
    }
  },
  'models are listed and retrieved': async () => {
    const names = [];
    for await (const model of anthropic.models.list()) names.push(model.id);
    assert.ok(MODELS.every((model) => names.includes(model)));
    assert.equal((await anthropic.models.retrieve('claude-sonnet-4.5')).type, 'model');
    check(await failure(anthropic.models.retrieve('claude-unknown-9')), Anthropic.NotFoundError, 404, 'not_found_error');
  },
  'a wrong key is an authentication error at once': async () => {
    let attempts = 0;
    const counted = (...request) => {
      attempts += 1;
      return fetch(...request);
    };
    const stranger = new Anthropic({ apiKey: STRANGER, maxRetries: 5, fetch: counted });
    const error = await failure(stranger.messages.create(body('gpt-4.1', 'hello')));
    check(error, Anthropic.AuthenticationError, 401, 'authentication_error');
    assert.equal(attempts, 1, 'the package was told not to repeat it');
  },
  'an unknown model is not found': async () => {
    for (const stream of [false, true]) {
      const error = await failure(anthropic.messages.create(body('claude-unknown-9', 'hello', { stream })));
      check(error, Anthropic.NotFoundError, 404, 'not_found_error');
    }
  },
  'a model outside the scope is a permission denied error': async () => {
    const scoped = new Anthropic({ apiKey: process.env.SCOPED_KEY, maxRetries: 0 });
    const error = await failure(scoped.messages.create(body('claude-sonnet-4.5', 'hello')));
    check(error, Anthropic.PermissionDeniedError, 403, 'permission_error');
  },
  'a wrong type is a bad request': async () => {
    for (const model of ONE_EACH) {
      const error = await failure(anthropic.messages.create(body(model, 'hello', { messages: 'hello' })));
      check(error, Anthropic.BadRequestError, 400, 'invalid_request_error');
    }
  },
  'an overlong conversation says so': async () => {
    for (const model of ONE_EACH) {
      const error = await failure(anthropic.messages.create(body(model, fault('context_overflow_chat'))));
      check(error, Anthropic.BadRequestError, 400, 'invalid_request_error');
      assert.match(error.message, /prompt is too long/);
    }
  },
  'a rate limit upstream is a rate limit error': async () => {
    for (const model of ONE_EACH) {
      const error = await failure(anthropic.messages.create(body(model, fault('429'))));
      check(error, Anthropic.RateLimitError, 429, 'rate_limit_error');
      assert.equal(error.headers.get('retry-after'), '37');
    }
  },
  'trouble upstream is an internal server error': async () => {
    for (const model of ONE_EACH) {
      const error = await failure(anthropic.messages.create(body(model, fault('504'), { stream: true })));
      assert.ok(error instanceof Anthropic.InternalServerError, String(error));
      assert.equal(error.status, 504);
    }
  },
  'a stream that breaks is an error and never a clean end': async () => {
    for (const model of MODELS) {
      for (const name of ['cut', 'cut-clean', 'midstream-error']) {
        const read = async () => collect(await anthropic.messages.create(body(model, fault(name), { stream: true })));
        const error = await failure(read());
        assert.ok(error instanceof Anthropic.APIError, `${model} ${name}: ${error}`);
        const helper = anthropic.messages.stream(body(model, fault(name)));
        assert.ok((await failure(helper.finalMessage())) instanceof Anthropic.AnthropicError, name);
      }
    }
  },
  'a stream can be left early': async () => {
    for (const model of MODELS) {
      const stream = await anthropic.messages.create(body(model, say(TEXT), { stream: true }));
      for await (const event of stream) {
        assert.equal(event.type, 'message_start');
        break;
      }
    }
    assert.equal(textOf(await anthropic.messages.create(body('gpt-4.1', say('here')))), 'here');
  },
  'calls side by side do not mix': async () => {
    const texts = Array.from({ length: 40 }, (_, number) => `answer ${number}`);
    const answers = await Promise.all(
      texts.map(async (text, number) => {
        const request = body(MODELS[number % MODELS.length], say(text));
        if (number % 2) return textOf(await anthropic.messages.create(request));
        return anthropic.messages.stream(request).finalText();
      }),
    );
    assert.deepEqual(answers, texts);
  },
};

await report(cases);
