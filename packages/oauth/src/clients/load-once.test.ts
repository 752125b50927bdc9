import { describe, expect, it } from 'vitest'
import { createLoadOnce } from './load-once.ts'

/** Loads that end when the test says so. */
function setUp() {
  const waiting = new Map<string, (outcome: 'found' | 'failed') => void>()
  const loads: string[] = []
  const loadOnce = createLoadOnce(url => {
    loads.push(url)
    return new Promise<string>((resolve, reject) => {
      waiting.set(url, outcome => (outcome === 'found' ? resolve(`of ${url}`) : reject(new Error('down'))))
    })
  })
  const end = (url: string, outcome: 'found' | 'failed' = 'found') => waiting.get(url)?.(outcome)
  return { loadOnce, loads, end }
}
const hosts = Array.from({ length: 8 }, (_, index) => `https://host-${index}.example/document`)

describe('createLoadOnce', () => {
  it('R32: all who ask at the same time share one load, and who asks later starts another', async () => {
    const { loadOnce, loads, end } = setUp()
    const both = Promise.all([loadOnce(hosts[0]!), loadOnce(hosts[0]!)])
    end(hosts[0]!)
    expect(await both).toEqual([`of ${hosts[0]}`, `of ${hosts[0]}`])
    expect(loads).toHaveLength(1)
    const later = loadOnce(hosts[0]!)
    end(hosts[0]!)
    await later
    expect(loads).toHaveLength(2)
  })

  it('R32: no more than two at one host and eight in all; when one has ended, the next may go', async () => {
    const { loadOnce, end } = setUp()
    const slow = [loadOnce('https://one.example/1'), loadOnce('https://one.example/2')]
    await expect(loadOnce('https://one.example/3')).rejects.toThrow('too many')
    const others = hosts.slice(0, 6).map(url => loadOnce(url))
    await expect(loadOnce(hosts[6]!)).rejects.toThrow('too many')
    end('https://one.example/1')
    await slow[0]
    const next = loadOnce('https://one.example/3')
    for (const url of ['https://one.example/2', 'https://one.example/3', ...hosts]) end(url)
    expect(await Promise.all([...slow, ...others, next])).toHaveLength(9)
  })

  it('R129: URLs that no stranger named need no caps, and still share one load each', async () => {
    let loads = 0
    const caps = { all: Number.POSITIVE_INFINITY, perHost: Number.POSITIVE_INFINITY }
    const loadOnce = createLoadOnce(async url => [url, ++loads], caps)
    const urls = Array.from({ length: 50 }, (_, index) => `https://one.example/${index % 25}`)
    await Promise.all(urls.map(loadOnce))
    expect(loads).toBe(25)
  })

  it('a load that failed is not what the next one gets', async () => {
    const { loadOnce, end } = setUp()
    const failing = loadOnce(hosts[0]!)
    end(hosts[0]!, 'failed')
    await expect(failing).rejects.toThrow('down')
    const again = loadOnce(hosts[0]!)
    end(hosts[0]!)
    expect(await again).toBe(`of ${hosts[0]}`)
  })
})
