import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseQuery, readForm, single } from './parameters.ts'
import { appendResponseParameters } from './redirect-uri.ts'

const text = fc.string({ unit: 'binary', minLength: 1 })

it('R46: any state comes back from query and form byte for byte', async () => {
  await fc.assert(
    fc.asyncProperty(text, async state => {
      const query = `state=${encodeURIComponent(state)}`
      const request = new Request('https://mcp.example.com/', {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ state }).toString(),
      })
      expect(single(parseQuery(`/authorize?${query}`)).get('state')).toBe(state)
      expect(single(await readForm(request)).get('state')).toBe(state)
      const answer = appendResponseParameters('https://client.example/cb?a=1', { code: 'c', state })
      expect(single(parseQuery(answer)).get('state')).toBe(state)
      expect(new URL(answer).searchParams.get('state')).toBe(state)
    }),
  )
})

it('R45: a query is read as every form decoder reads it', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(text, fc.string({ unit: 'binary' })), { maxLength: 64 }), pairs => {
      const encoded = new URLSearchParams(pairs).toString()
      expect([...parseQuery(`?${encoded}`)]).toEqual([...new URLSearchParams(encoded)])
    }),
  )
})
