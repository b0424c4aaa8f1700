// The official `openai` package for Node, unmodified, over real sockets.
//
// OPENAI_BASE_URL and OPENAI_API_KEY are read by the package itself; SCOPED_KEY is a key for gpt-4.1 only, and
// GATEWAY_URL the address without /v1.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { ARGUMENTS, PIXEL, STRANGER, TEXT, callTool, collect, failure, fault, parameters, report, say } from './cases.mjs';

const openai = new OpenAI({ maxRetries: 0 });
const MODELS = ['gpt-4.1', 'gpt-5-mini', 'gpt-5.4', 'claude-sonnet-4.6', 'claude-opus-4.8', 'gemini-2.5-pro'];

const ask = (content) => [{ role: 'user', content }];
const textOf = (chunks) => chunks.flatMap((chunk) => chunk.choices).map((choice) => choice.delta.content ?? '').join('');

const tool = { type: 'function', function: { name: 'get_weather', parameters } };
const flatTool = { type: 'function', name: 'get_weather', strict: true, parameters };

function check(error, kind, status, code) {
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.status, status);
  assert.equal(error.code, code);
  assert.match(error.requestID, /^req_/);
  assert.ok(error.message.includes(error.requestID));
}

const runnable = (calls) => ({
  type: 'function',
  function: {
    name: 'get_weather',
    parse: JSON.parse,
    parameters,
    description: 'The weather of a city.',
    function: (args) => {
      calls.push(args);
      return '21° ☀';
    },
  },
});

const cases = {
  'a text arrives as it was said whole': async () => {
    for (const model of MODELS) {
      const answer = await openai.chat.completions.create({ model, messages: ask(say(TEXT)) });
      assert.equal(answer.choices.length, 1);
      assert.equal(answer.choices[0].message.content, TEXT);
      assert.equal(answer.choices[0].finish_reason, 'stop');
      assert.equal(answer.model, model);
      assert.equal(answer.object, 'chat.completion');
      assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
      assert.match(answer._request_id, /^req_/);
    }
  },
  'a text arrives as it was said streamed': async () => {
    for (const model of MODELS) {
      const stream = await openai.chat.completions.create({ model, messages: ask(say(TEXT)), stream: true });
      const chunks = await collect(stream);
      assert.equal(textOf(chunks), TEXT);
      assert.deepEqual([...new Set(chunks.map((chunk) => chunk.model))], [model]);
      assert.equal(chunks[0].choices[0].delta.role, 'assistant');
      assert.ok(chunks.length > 3);
    }
  },
  'no usage chunk unless asked for': async () => {
    for (const model of MODELS) {
      const stream = await openai.chat.completions.create({ model, messages: ask('hello'), stream: true });
      assert.ok((await collect(stream)).every((chunk) => chunk.choices.length === 1 && !chunk.usage));
    }
  },
  'the usage chunk comes last when asked for': async () => {
    for (const model of MODELS) {
      const chunks = await collect(
        await openai.chat.completions.create({
          model,
          messages: ask('hello'),
          stream: true,
          stream_options: { include_usage: true },
        }),
      );
      const last = chunks.pop();
      assert.deepEqual(last.choices, []);
      assert.ok(last.usage.completion_tokens > 0);
      assert.equal(last.model, model);
      assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
    }
  },
  'the stream helper gathers the answer': async () => {
    for (const model of MODELS) {
      const deltas = [];
      const stream = openai.chat.completions
        .stream({ model, messages: ask(say(TEXT)), stream_options: { include_usage: true } })
        .on('content', (delta) => deltas.push(delta));
      assert.equal(await stream.finalContent(), TEXT);
      assert.equal(deltas.join(''), TEXT);
      const final = await stream.finalChatCompletion();
      assert.equal(final.model, model);
      assert.equal(final.choices[0].finish_reason, 'stop');
      assert.ok((await stream.totalUsage()).completion_tokens > 0);
    }
  },
  'the stream helper gathers a tool call': async () => {
    for (const model of MODELS) {
      const done = [];
      const stream = openai.chat.completions
        .stream({ model, messages: ask(callTool('get_weather', ARGUMENTS)), tools: [tool] })
        .on('tool_calls.function.arguments.done', (call) => done.push(call));
      const message = await stream.finalMessage();
      assert.equal(message.tool_calls.length, 1);
      assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), ARGUMENTS);
      assert.deepEqual(done.map((call) => [call.name, JSON.parse(call.arguments)]), [['get_weather', ARGUMENTS]]);
    }
  },
  'runTools runs the tool and answers whole': async () => {
    for (const model of MODELS) {
      const calls = [];
      const runner = openai.chat.completions.runTools({
        model,
        messages: ask(callTool('get_weather', ARGUMENTS)),
        tools: [runnable(calls)],
      });
      assert.equal(await runner.finalContent(), 'SIM-RESULT: 21° ☀');
      assert.deepEqual(calls, [ARGUMENTS]);
    }
  },
  'runTools runs the tool and answers streamed': async () => {
    for (const model of MODELS) {
      const calls = [];
      const runner = openai.chat.completions.runTools({
        model,
        stream: true,
        messages: ask(callTool('get_weather', ARGUMENTS)),
        tools: [runnable(calls)],
      });
      assert.equal(await runner.finalContent(), 'SIM-RESULT: 21° ☀');
      assert.deepEqual(calls, [ARGUMENTS]);
    }
  },
  'a tool loop by hand': async () => {
    const messages = ask(callTool('get_weather', ARGUMENTS));
    const first = await openai.chat.completions.create({ model: 'claude-sonnet-4.6', messages, tools: [tool] });
    const { message, finish_reason } = first.choices[0];
    assert.equal(first.choices.length, 1);
    assert.equal(finish_reason, 'tool_calls');
    const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'dry' };
    const second = await openai.chat.completions.create({
      model: 'claude-sonnet-4.6',
      messages: [...messages, message, result],
      tools: [tool],
    });
    assert.equal(second.choices[0].message.content, 'SIM-RESULT: dry');
  },
  'structured output parses': async () => {
    const response_format = {
      type: 'json_schema',
      json_schema: { name: 'weather', strict: true, schema: parameters },
    };
    const answer = await openai.chat.completions.parse({
      model: 'gpt-4.1',
      messages: ask(say(JSON.stringify(ARGUMENTS))),
      response_format,
    });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), ARGUMENTS);
  },
  'an image is seen': async () => {
    const content = [
      { type: 'text', text: say('a picture') },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
    ];
    for (const model of MODELS) {
      const answer = await openai.chat.completions.create({ model, messages: [{ role: 'user', content }] });
      assert.equal(answer.choices[0].message.content, 'a picture');
    }
  },
  'embeddings by default and as floats': async () => {
    const model = 'text-embedding-3-small';
    const packed = await openai.embeddings.create({ model, input: 'Grüße' });
    const floats = await openai.embeddings.create({ model, input: ['Grüße', 'two'], encoding_format: 'float' });
    assert.equal(packed.data[0].embedding.length, 1536);
    assert.deepEqual(floats.data.map((entry) => entry.index), [0, 1]);
    floats.data[0].embedding.forEach((value, index) => {
      assert.ok(Math.abs(value - packed.data[0].embedding[index]) < 1e-6);
    });
    const short = await openai.embeddings.create({ model, input: 'x', dimensions: 8 });
    assert.equal(short.data[0].embedding.length, 8);
  },
  'models are listed and retrieved': async () => {
    const names = [];
    for await (const model of openai.models.list()) names.push(model.id);
    assert.ok(MODELS.every((model) => names.includes(model)));
    assert.equal((await openai.models.retrieve('claude-sonnet-4.6')).id, 'claude-sonnet-4.6');
    check(await failure(openai.models.retrieve('gpt-99')), OpenAI.NotFoundError, 404, 'model_not_found');
  },
  'a wrong key is an authentication error at once': async () => {
    let attempts = 0;
    const counted = (...request) => {
      attempts += 1;
      return fetch(...request);
    };
    const stranger = new OpenAI({ apiKey: STRANGER, maxRetries: 5, fetch: counted });
    check(await failure(stranger.models.list()), OpenAI.AuthenticationError, 401, 'invalid_api_key');
    assert.equal(attempts, 1, 'the package was told not to repeat it');
  },
  'an unknown model is not found': async () => {
    for (const stream of [false, true]) {
      const call = openai.chat.completions.create({ model: 'gpt-99', messages: ask('hello'), stream });
      check(await failure(call), OpenAI.NotFoundError, 404, 'model_not_found');
    }
  },
  'a model outside the scope is a permission denied error': async () => {
    const scoped = new OpenAI({ apiKey: process.env.SCOPED_KEY, maxRetries: 0 });
    const call = scoped.chat.completions.create({ model: 'gpt-4o', messages: ask('hello') });
    check(await failure(call), OpenAI.PermissionDeniedError, 403, 'model_not_allowed');
  },
  'a wrong type is a bad request': async () => {
    const call = openai.chat.completions.create({ model: 'gpt-4.1', messages: 'hello' });
    check(await failure(call), OpenAI.BadRequestError, 400, 'invalid_request');
  },
  'an overlong conversation says so by its code': async () => {
    const messages = ask('word '.repeat(60_000));
    const call = openai.chat.completions.create({ model: 'gpt-4o-mini', messages });
    check(await failure(call), OpenAI.BadRequestError, 400, 'context_length_exceeded');
  },
  'a rate limit upstream is a rate limit error': async () => {
    const error = await failure(openai.chat.completions.create({ model: 'gpt-4.1', messages: ask(fault('429')) }));
    check(error, OpenAI.RateLimitError, 429, 'rate_limited');
    assert.equal(error.headers.get('retry-after'), '37');
  },
  'trouble upstream is an internal server error': async () => {
    const calls = [['502', 502, 'upstream_error'], ['504', 504, 'upstream_timeout']].map(async ([name, status, code]) => {
      const call = openai.chat.completions.create({ model: 'gpt-4.1', messages: ask(fault(name)), stream: true });
      check(await failure(call), OpenAI.InternalServerError, status, code);
    });
    await Promise.all(calls);
  },
  'a stream that breaks is an error and never a clean end': async () => {
    for (const name of ['cut', 'cut-rst', 'cut-clean', 'midstream-error']) {
      const read = async () =>
        collect(await openai.chat.completions.create({ model: 'gpt-4.1', messages: ask(fault(name)), stream: true }));
      const error = await failure(read());
      assert.ok(error instanceof OpenAI.APIError, name);
      assert.equal(error.code, name.startsWith('cut') ? 'upstream_cut' : 'upstream_error');
    }
  },
  'a stream that breaks is an error in the helper': async () => {
    for (const name of ['cut', 'midstream-error']) {
      const stream = openai.chat.completions.stream({ model: 'gpt-4.1', messages: ask(fault(name)) });
      assert.ok((await failure(stream.finalContent())) instanceof OpenAI.OpenAIError, name);
    }
  },
  'raw responses carry the request id': async () => {
    const { data, response, request_id } = await openai.chat.completions
      .create({ model: 'gpt-4.1', messages: ask(say('raw')) })
      .withResponse();
    assert.equal(data.choices[0].message.content, 'raw');
    assert.equal(response.headers.get('x-request-id'), request_id);
    assert.match(request_id, /^req_/);
  },
  'the base URL may leave the version out': async () => {
    const client = new OpenAI({ baseURL: process.env.GATEWAY_URL, maxRetries: 0 });
    const answer = await client.chat.completions.create({ model: 'gpt-4.1', messages: ask(say('here')) });
    assert.equal(answer.choices[0].message.content, 'here');
    assert.ok((await client.models.list()).data.length > 5);
  },
  'a stream can be left early': async () => {
    const stream = await openai.chat.completions.create({ model: 'gpt-4.1', messages: ask(say(TEXT)), stream: true });
    for await (const chunk of stream) {
      assert.ok(chunk.id);
      break;
    }
    assert.equal((await openai.models.retrieve('gpt-4.1')).id, 'gpt-4.1');
  },
  'calls side by side do not mix': async () => {
    const texts = Array.from({ length: 40 }, (_, number) => `answer ${number}`);
    const answers = await Promise.all(
      texts.map(async (text, number) => {
        const body = { model: MODELS[number % 4], messages: ask(say(text)) };
        if (number % 2) return (await openai.chat.completions.create(body)).choices[0].message.content;
        return textOf(await collect(await openai.chat.completions.create({ ...body, stream: true })));
      }),
    );
    assert.deepEqual(answers, texts);
  },
  'responses: a text arrives as it was said': async () => {
    for (const model of MODELS) {
      const whole = await openai.responses.create({ model, input: say(TEXT) });
      assert.equal(whole.output_text, TEXT);
      assert.equal(whole.model, model);
      assert.equal(whole.status, 'completed');
      assert.equal(whole.usage.total_tokens, whole.usage.input_tokens + whole.usage.output_tokens);
      const events = await collect(await openai.responses.create({ model, input: say(TEXT), stream: true }));
      const deltas = events.filter((event) => event.type === 'response.output_text.delta');
      assert.equal(deltas.map((event) => event.delta).join(''), TEXT);
      assert.ok(deltas.length >= 3);
      assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
      assert.equal(events[0].type, 'response.created');
      assert.equal(events.at(-1).type, 'response.completed');
      assert.equal(events.at(-1).response.model, model);
      assert.ok(events.at(-1).response.usage.output_tokens > 0);
    }
  },
  'responses: the stream helper gathers the answer': async () => {
    for (const model of MODELS) {
      const stream = openai.responses.stream({ model, input: say(TEXT) });
      const final = await stream.finalResponse();
      assert.equal(final.output_text, TEXT);
      assert.equal(final.model, model);
    }
  },
  'responses: a tool loop whole and streamed': async () => {
    for (const model of MODELS) {
      const user = { role: 'user', content: callTool('get_weather', ARGUMENTS) };
      const whole = await openai.responses.create({ model, input: [user], tools: [flatTool] });
      const streamed = await openai.responses.stream({ model, input: [user], tools: [flatTool] }).finalResponse();
      for (const first of [whole, streamed]) {
        const [call] = first.output.filter((item) => item.type === 'function_call');
        assert.deepEqual(JSON.parse(call.arguments), ARGUMENTS);
        const result = { type: 'function_call_output', call_id: call.call_id, output: '21° ☀' };
        const output = first.output.map(({ parsed_arguments, ...item }) => item);
        const second = await openai.responses.create({ model, input: [user, ...output, result], tools: [flatTool] });
        assert.equal(second.output_text, 'SIM-RESULT: 21° ☀');
      }
    }
  },
  'responses: an image is seen': async () => {
    const content = [
      { type: 'input_text', text: say('a picture') },
      { type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${PIXEL}` },
    ];
    for (const model of MODELS) {
      const answer = await openai.responses.create({ model, input: [{ role: 'user', content }] });
      assert.equal(answer.output_text, 'a picture');
    }
  },
  'responses: failures are the right errors': async () => {
    const create = (body) => failure(openai.responses.create({ model: 'gpt-5.4', input: 'hello', ...body }));
    check(await create({ model: 'gpt-99' }), OpenAI.NotFoundError, 404, 'model_not_found');
    for (const model of ['gpt-5.4', 'claude-opus-4.8', 'gpt-4.1']) {
      check(await create({ model, input: fault('429') }), OpenAI.RateLimitError, 429, 'rate_limited');
      check(await create({ model, input: fault('504') }), OpenAI.InternalServerError, 504, 'upstream_timeout');
      const overflow = await create({ model, input: fault('context_overflow_chat') });
      check(overflow, OpenAI.BadRequestError, 400, 'context_length_exceeded');
    }
  },
  'responses: a stream that breaks never completes': async () => {
    for (const model of ['gpt-5.4', 'claude-opus-4.8', 'gpt-4.1']) {
      for (const name of ['cut', 'midstream-error']) {
        const kinds = [];
        try {
          const stream = await openai.responses.create({ model, input: fault(name), stream: true });
          for await (const event of stream) kinds.push(event.type);
          assert.ok(['response.failed', 'error'].includes(kinds.at(-1)), kinds.at(-1));
        } catch (error) {
          assert.ok(error instanceof OpenAI.APIError, String(error));
        }
        assert.ok(!kinds.includes('response.completed'));
      }
    }
  },
};

await report(cases);
