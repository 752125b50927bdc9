import { createTestServer, eras, type TestServer } from '@sallyport/mcp-server/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clearTools, server } from './chuk-tools.ts'

let test: TestServer
beforeAll(() => {
  test = createTestServer(server)
})
afterAll(() => test.close())

describe.each(eras)('the tools docs/migrate-from-chuk.md shows, for a client of %s', era => {
  const call = async (name: string, args: Record<string, unknown> = {}) => {
    const client = await test.asNobody().connect({ era })
    return client.callTool({ name, arguments: args })
  }

  it.each<[string, Record<string, unknown>, string]>([
    ['greet', { name: 'Ada' }, 'Hello, Ada!'],
    ['leave', { name: 'Ada' }, 'Good-bye, Ada!'],
    ['forecast', { address: { city: 'Paris' }, days: 2 }, '{"city":"Paris","unit":"celsius","days":2}'],
    ['average', { temperatures: '[20, "23"]', places: '1' }, '21.5'],
    ['divide', { a: 6, b: 3 }, '2'],
    ['upper', { text: 'rain' }, 'RAIN'],
  ])('%s takes %o', async (name, args, text) => {
    expect(await call(name, args)).toMatchObject({ content: [{ type: 'text', text }] })
  })

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['divide', { a: 1, b: 0 }, /^b must not be 0\.$/],
    ['divide', { a: '1', b: 2 }, /expected number/],
    ['forecast', { address: { city: 'Paris' }, days: 8 }, /days/],
  ])('%s tells the model what is wrong with %o', async (name, args, text) => {
    expect(await call(name, args)).toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(text) }],
    })
  })

  it('station has structured content, annotations, an icon and facts of its own', async () => {
    const client = await test.asNobody().connect({ era })
    const { tools } = await client.listTools()
    expect(tools.find(({ name }) => name === 'station')).toMatchObject({
      title: 'Weather station',
      annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
      outputSchema: { type: 'object' },
      icons: [{ src: 'https://weather.example.com/station.svg' }],
      _meta: { 'example.com/team': 'sensors' },
    })
    expect(await client.callTool({ name: 'station', arguments: { id: 'a' } })).toMatchObject({
      structuredContent: { id: 'a', celsius: 21 },
    })
  })

  it('map is text, a picture and a link to a resource', async () => {
    const { content } = await call('map')
    expect(content).toMatchObject([
      { type: 'text' },
      { type: 'image', mimeType: 'image/png', data: 'iVBORw==' },
      { type: 'resource_link', uri: 'maps://north' },
    ])
  })

  it('says who it is', async () => {
    const client = await test.asNobody().connect({ era })
    expect(client.getServerVersion()).toMatchObject({
      title: 'Example Weather',
      description: 'Forecasts for everybody.',
      websiteUrl: 'https://weather.example.com',
      icons: [{ mimeType: 'image/png' }],
    })
    expect(client.getInstructions()).toBe('Ask for the city first.')
  })
})

it('what was cleared is gone from the list', async () => {
  clearTools()
  const { tools } = await (await test.asNobody().connect()).listTools()
  expect(tools.map(({ name }) => name)).toEqual([
    'greet',
    'leave',
    'forecast',
    'average',
    'station',
    'divide',
    'map',
  ])
})
