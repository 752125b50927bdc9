import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { content } from './content.ts'

it('files become what clients can show: pictures, sounds, texts and bytes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-content-'))
  try {
    const file = (name: string) => {
      writeFileSync(join(folder, name), 'hi')
      return content.file(join(folder, name))
    }
    expect(await file('a.PNG')).toEqual({ type: 'image', data: 'aGk=', mimeType: 'image/png' })
    expect(await file('a.wav')).toEqual({ type: 'audio', data: 'aGk=', mimeType: 'audio/wav' })
    expect(await file('a b.json')).toEqual({
      type: 'resource',
      resource: { uri: 'file:///a%20b.json', mimeType: 'application/json', text: 'hi' },
    })
    const unknown = await file('plain')
    expect(unknown).toMatchObject({ resource: { mimeType: 'application/octet-stream', blob: 'aGk=' } })
    // The folder is the server's own business.
    expect(JSON.stringify(unknown)).not.toContain(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
