import { z } from 'zod'
import type { Protection, Target } from './declare.ts'

const person = z.object({ name: z.string() })

/** A question to the client's model. */
const ask = (text: string, maxTokens: number) => ({
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }],
  maxTokens,
})

/** Calls that ask the user, the client's model, or for folders, in the way that the client's revision has. */
export function addQuestions(server: Target, auth: Protection): void {
  server.tool('test_sampling', {
    description: "Has the client's model answer.",
    input: z.object({ prompt: z.string() }),
    auth,
    run: async ({ prompt }, { sample }) => {
      const { content } = await sample(ask(prompt, 100))
      return `Model: ${[content].flat().map(block => (block.type === 'text' ? block.text : block.type))}`
    },
  })
  server.tool('test_elicitation', {
    description: 'Asks the user for a name and an e-mail address.',
    input: z.object({ message: z.string() }),
    auth,
    run: async ({ message }, { elicit }) => {
      const schema = z.object({ username: z.string(), email: z.email() }).partial()
      const { action, content } = await elicit({ message, schema })
      return `${action}: ${JSON.stringify(content ?? {})}`
    },
  })
  server.tool('test_elicitation_sep1034_defaults', {
    description: 'Asks with answers filled in.',
    auth,
    run: async (_, { elicit }) => {
      const { action, content } = await elicit({
        message: 'Is this right?',
        schema: z.object({
          name: z.string().default('John Doe'),
          age: z.int().default(30),
          score: z.number().default(95.5),
          status: z.enum(['active', 'inactive', 'pending']).default('active'),
          verified: z.boolean().default(true),
        }),
      })
      return `${action}: ${JSON.stringify(content ?? {})}`
    },
  })
  server.tool('test_elicitation_sep1330_enums', {
    description: 'Asks for choices, in every way there is to write them.',
    auth,
    run: async (_, { elicit }) => {
      const titled = ['One', 'Two', 'Three'].map((title, index) => ({ const: `value${index + 1}`, title }))
      const plain = ['option1', 'option2', 'option3']
      const { action, content } = await elicit({
        message: 'Choose.',
        schema: {
          type: 'object',
          properties: {
            untitledSingle: { type: 'string', enum: plain },
            titledSingle: { type: 'string', oneOf: titled },
            legacyEnum: { type: 'string', enum: plain, enumNames: ['One', 'Two', 'Three'] },
            untitledMulti: { type: 'array', items: { type: 'string', enum: plain } },
            titledMulti: { type: 'array', items: { anyOf: titled } },
          },
        },
      })
      return `${action}: ${JSON.stringify(content ?? {})}`
    },
  })
  server.tool('test_missing_capability', {
    description: 'Needs a client that lets its model answer.',
    auth,
    run: async (_, { sample }) => {
      await sample(ask('Say yes.', 10))
      return 'The client can do that.'
    },
  })
  server.tool('test_streaming_elicitation', {
    description: 'Reports on the stream of the call, and asks when the client can be asked.',
    auth,
    run: async (_, { clientCan, elicit, progress }) => {
      await progress(1, 1)
      if (!clientCan.elicit) return 'Nobody was asked.'
      const { action } = await elicit({ message: 'Go on?', schema: z.object({ yes: z.boolean() }) })
      return `Asked: ${action}`
    },
  })
}

/** The questions of 2026-07-28: a call ends with them, and the client calls again with the answers. */
export function addRounds(server: Target, auth: Protection): void {
  server.tool('test_input_required_result_elicitation', {
    description: 'Asks for a name.',
    auth,
    run: async (_, { elicit }) => {
      const { content } = await elicit({
        id: 'user_name',
        message: 'What is your name?',
        schema: person,
        // A client that knows what it will be asked may answer with the call.
        beforehand: true,
      })
      return content ? `Hello, ${content.name}!` : 'Hello, whoever you are!'
    },
  })
  server.tool('test_input_required_result_sampling', {
    description: "Asks the client's model.",
    auth,
    run: async (_, { sample }) => {
      const question = ask('What is the capital of France?', 100)
      const { content } = await sample({ id: 'capital_question', ...question })
      return { content: [content].flat() }
    },
  })
  server.tool('test_input_required_result_list_roots', {
    description: 'Asks for the folders the user works in.',
    auth,
    run: async (_, { roots }) => {
      const folders = await roots({ id: 'client_roots' })
      return folders.map(({ uri, name }) => `${name ?? 'A folder'}: ${uri}`).join('\n')
    },
  })
  server.tool('test_input_required_result_request_state', {
    description: 'Asks, and knows its own state again.',
    auth,
    run: async (_, { elicit }) => {
      const schema = z.object({ ok: z.boolean() })
      await elicit({ id: 'confirm', message: 'Please confirm', schema })
      return 'state-ok'
    },
  })
  server.tool('test_input_required_result_multiple_inputs', {
    description: 'Asks the user, the model and for folders at once.',
    auth,
    run: async (_, { elicit, sample, roots }) => {
      const [user, greeting, folders] = await Promise.all([
        elicit({ id: 'user_name', message: 'What is your name?', schema: person }),
        sample({ id: 'greeting', ...ask('Generate a greeting', 50) }),
        roots({ id: 'client_roots' }),
      ])
      return { user, greeting: greeting.content, folders }
    },
  })
  server.tool('test_input_required_result_multi_round', {
    description: 'Asks, and asks again.',
    auth,
    run: async (_, { elicit }) => {
      const first = await elicit({ id: 'step1', message: 'Step 1: What is your name?', schema: person })
      const color = z.object({ color: z.string() })
      const message = 'Step 2: What is your favorite color?'
      const second = await elicit({ id: 'step2', message, schema: color })
      return `${first.content?.name ?? 'Nobody'} likes ${second.content?.color ?? 'no color'}.`
    },
  })
  server.tool('test_input_required_result_tampered_state', {
    description: 'Asks, and takes no state but its own.',
    auth,
    run: async (_, { elicit }) => {
      await elicit({ id: 'confirm', message: 'Please confirm', schema: z.object({ ok: z.boolean() }) })
      return 'Confirmed.'
    },
  })
  server.tool('test_input_required_result_capabilities', {
    description: 'Asks only for what the client can do.',
    auth,
    run: async (_, { clientCan, elicit, sample }) => {
      const [user, answer] = await Promise.all([
        clientCan.elicit && elicit({ id: 'user_name', message: 'What is your name?', schema: person }),
        clientCan.sample && sample({ id: 'greeting', ...ask('Generate a greeting', 50) }),
      ])
      return { user, answer: answer ? answer.content : undefined }
    },
  })
  server.prompt('test_input_required_result_prompt', {
    description: 'A prompt that asks what it should be about.',
    auth,
    run: async (_, { elicit }) => {
      const { content } = await elicit({
        id: 'user_context',
        message: 'What context should the prompt use?',
        schema: z.object({ context: z.string() }),
      })
      return `Write about ${content?.context ?? 'anything you like'}.`
    },
  })
}
