import { content } from '@sallyport/mcp-server'
import type { Protection, Target } from './declare.ts'
import { pixel, silence } from './samples.ts'

/** Every kind of content a tool can answer with, and what it says on the way there. */
export function addContent(server: Target, auth: Protection): void {
  server.tool('test_simple_text', {
    description: 'Answers with a text.',
    auth,
    run: () => 'A simple text.',
  })
  server.tool('test_image_content', {
    description: 'Answers with a picture.',
    auth,
    run: () => content.image(pixel, 'image/png'),
  })
  server.tool('test_audio_content', {
    description: 'Answers with a sound.',
    auth,
    run: () => content.audio(silence, 'audio/wav'),
  })
  server.tool('test_embedded_resource', {
    description: 'Answers with a resource.',
    auth,
    run: () => content.resource('test://embedded-resource', 'An embedded text.', { mimeType: 'text/plain' }),
  })
  server.tool('test_multiple_content_types', {
    description: 'Answers with a text, a picture and a resource.',
    auth,
    run: () => [
      content.text('A text, then a picture, then a resource.'),
      content.image(pixel, 'image/png'),
      content.resource('test://mixed-content', '{"mixed":true}', { mimeType: 'application/json' }),
    ],
  })
}
