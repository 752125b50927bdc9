import { type CallContext, content, createServer, ToolError, tool } from '@sallyport/mcp-server'
import { z } from 'zod'

// The code that docs/migrate-from-chuk.md shows about tools, compiled and run by chuk-tools.test.ts.

// #region server-info
const server = createServer({
  name: 'weather',
  version: '1.0.0',
  title: 'Example Weather',
  description: 'Forecasts for everybody.',
  websiteUrl: 'https://weather.example.com',
  icons: [{ src: 'https://weather.example.com/icon.png', mimeType: 'image/png' }],
  instructions: 'Ask for the city first.',
})
// #endregion server-info

// #region tool
server.tool('greet', {
  description: 'Greets somebody',
  input: z.object({ name: z.string(), greeting: z.string().default('Hello') }),
  run: ({ name, greeting }) => `${greeting}, ${name}!`,
})
// #endregion tool

// #region decorators
class Greetings {
  @tool({ description: 'Says good-bye to somebody', input: z.object({ name: z.string() }) })
  leave({ name }: { name: string }, { log }: CallContext) {
    log.info('somebody leaves')
    return `Good-bye, ${name}!`
  }
}
server.register(new Greetings())
// #endregion decorators

// #region types
const Address = z.object({ city: z.string(), zip: z.string().optional() })
server.tool('forecast', {
  description: 'Tells the weather of the next days',
  input: z.object({
    address: Address,
    unit: z.enum(['celsius', 'fahrenheit']).default('celsius'),
    days: z.int().min(1).max(7).describe('How many days'),
    tags: z.array(z.string()).default([]),
    options: z.record(z.string(), z.number()).optional(),
  }),
  run: ({ address, unit, days }) => ({ city: address.city, unit, days }),
})
// #endregion types

// #region coercion
const jsonText = (value: unknown) => (typeof value === 'string' ? JSON.parse(value) : value)
server.tool('average', {
  description: 'The average of some temperatures',
  input: z.object({
    places: z.coerce.number().int().default(0),
    temperatures: z.preprocess(jsonText, z.array(z.coerce.number()).min(1)),
  }),
  run: ({ places, temperatures }) =>
    (temperatures.reduce((sum, each) => sum + each, 0) / temperatures.length).toFixed(places),
})
// #endregion coercion

// #region described
server.tool('station', {
  title: 'Weather station',
  description: 'Reads one station',
  input: z.object({ id: z.string() }),
  output: z.object({ id: z.string(), celsius: z.number() }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  icons: [{ src: 'https://weather.example.com/station.svg', mimeType: 'image/svg+xml' }],
  _meta: { 'example.com/team': 'sensors' },
  run: ({ id }) => ({ id, celsius: 21 }),
})
// #endregion described

// #region errors
server.tool('divide', {
  description: 'Divides two numbers',
  input: z.object({ a: z.number(), b: z.number() }),
  run: ({ a, b }) => {
    if (b === 0) throw new ToolError('b must not be 0.')
    return a / b
  },
})
// #endregion errors

// #region content
server.tool('map', {
  description: 'Draws a map, and says where more of it is',
  run: () => [
    content.text('Rain in the north.'),
    content.image(drawMap(), 'image/png'),
    content.link({ uri: 'maps://north', name: 'The north', mimeType: 'image/png' }),
  ],
})
// #endregion content

// #region existing
const toolsOfFile = {
  upper: { description: 'In capitals', change: (text: string) => text.toUpperCase() },
  lower: { description: 'In small letters', change: (text: string) => text.toLowerCase() },
}
const handles = Object.entries(toolsOfFile).map(([name, { description, change }]) =>
  server.tool(name, {
    description,
    input: z.object({ text: z.string() }),
    run: ({ text }) => change(text),
  }),
)
// #endregion existing

// #region clear
function clearTools() {
  for (const handle of handles) handle.disable()
}
// #endregion clear

function drawMap(): Uint8Array {
  return new Uint8Array([137, 80, 78, 71])
}

export { clearTools, server }
