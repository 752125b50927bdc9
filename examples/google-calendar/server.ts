import { createServer } from '@sallyport/mcp-server'
import { google } from '@sallyport/providers'
import { z } from 'zod'
import { eventsUrl } from './events-url.ts'
export const server = createServer({ name: 'calendar', version: '1.0.0', signIn: google() })
server.tool('events', {
  description: 'Your events of one day',
  input: z.object({ day: z.iso.date() }),
  auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
  run: async ({ day }, { fetch }) => (await fetch(eventsUrl(day))).json(),
})
await server.start()
