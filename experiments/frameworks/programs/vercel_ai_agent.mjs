// Vercel AI SDK (TypeScript): an agent with tools, three reviewers at once, and a loop.
// `node vercel_ai_agent.mjs one WORD`, or `tasks WORD...`, or `tasks+ WORD...` with a header per run.
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, stepCountIs, tool } from 'ai';
import { z } from 'zod';

const WRITER = process.env.WRITER ?? 'writer';
const CRITIC = process.env.CRITIC ?? 'critic';

const tools = {
  lookUp: tool({
    description: 'What is known about a topic.',
    inputSchema: z.object({ topic: z.string() }),
    execute: async ({ topic }) => `${topic} is a well-known matter`,
  }),
  add: tool({
    description: 'The sum of two numbers.',
    inputSchema: z.object({ a: z.number().int(), b: z.number().int() }),
    execute: async ({ a, b }) => a + b,
  }),
};

async function answer(word, headers = {}) {
  const openai = createOpenAI({ headers });
  const found = await generateText({
    model: openai(WRITER), tools, stopWhen: stepCountIs(10), system: 'You research.',
    prompt: `Find out about ${word}.`,
  });
  const remarks = await Promise.all([0, 1, 2].map((i) => generateText({
    model: openai.chat(CRITIC), maxOutputTokens: 40,
    prompt: `Review point ${i} about ${word}: ${found.text.slice(0, 200)}`,
  })));
  let draft = remarks.map((remark) => remark.text).join(' / ');
  for (let round = 0; round < 2; round++) {
    const prompt = `Write about ${word}, heeding: ${draft}`;
    draft = (await generateText({ model: openai(WRITER), maxOutputTokens: 60, prompt })).text;
  }
  return draft;
}

const [mode, ...words] = process.argv.slice(2);
const named = (word) => ({ 'x-scepsy-workflow': 'vercel_ai', 'x-scepsy-run': `run-${word}` });
await Promise.all(words.map((word) => answer(word, mode === 'tasks+' ? named(word) : {})));
