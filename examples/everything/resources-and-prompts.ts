import { content } from '@sallyport/mcp-server'
import { z } from 'zod'
import type { Protection, Target } from './declare.ts'
import { pixel } from './samples.ts'

/** Texts, bytes and templates. */
export function addResources(server: Target, auth: Protection): void {
  server.resource('test://static-text', {
    name: 'Static text',
    description: 'A text that never changes.',
    mimeType: 'text/plain',
    auth,
    run: () => 'The text of a resource.',
  })
  server.resource('test://static-binary', {
    name: 'Static picture',
    description: 'A picture that never changes.',
    mimeType: 'image/png',
    auth,
    run: () => pixel,
  })
  server.resource('test://watched-resource', {
    name: 'Watched resource',
    description: 'A text to subscribe to.',
    auth,
    run: () => 'Nothing has changed.',
  })
  server.resource('test://template/{id}/data', {
    name: 'Data by id',
    description: 'What is known of an id.',
    mimeType: 'application/json',
    auth,
    run: ({ id }) => ({ id, data: `Data of ${id}` }),
  })
}

/** Prompts with every kind of content. */
export function addPrompts(server: Target, auth: Protection): void {
  server.prompt('test_simple_prompt', {
    description: 'A prompt without arguments.',
    auth,
    run: () => 'This is a simple prompt.',
  })
  server.prompt('test_prompt_with_arguments', {
    description: 'A prompt that says what it was given.',
    input: z.object({
      arg1: z.string().describe('The first argument'),
      arg2: z.string().describe('The second argument'),
    }),
    complete: { arg1: typed => ['testing', 'translating'].filter(word => word.startsWith(typed)) },
    auth,
    run: ({ arg1, arg2 }) => `The first is '${arg1}', the second is '${arg2}'.`,
  })
  server.prompt('test_prompt_with_embedded_resource', {
    description: 'A prompt about a resource, which comes with it.',
    input: z.object({ resourceUri: z.string().describe('URI of the resource') }),
    auth,
    run: ({ resourceUri }) => [
      content.resource(resourceUri, 'The text of a resource.', { mimeType: 'text/plain' }),
      'What does this say?',
    ],
  })
  server.prompt('test_prompt_with_image', {
    description: 'A prompt about a picture.',
    auth,
    run: () => [content.image(pixel, 'image/png'), 'What do you see?'],
  })
}
