import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const fence = /^```(\w+)(?: source=(\S+?)(?:#([\w-]+))?)?\n([\s\S]*?)^```$/gm

/** Languages that run: a block of one of these must name the file it comes from. */
const code = new Set(['ts', 'js', 'mjs', 'json', 'tsx'])

/**
 * Fills every code block of a page with the file or `// #region name` it names.
 *
 * @throws {Error} when a code block names no source, or the region does not exist
 */
export function pullExamples(page: string, readSource: (path: string) => string): string {
  return page.replace(
    fence,
    (block, language: string, source: string | undefined, region: string | undefined) => {
      if (!code.has(language)) return block
      if (!source) throw new Error(`a ${language} block names no source file:\n${block}`)
      const text = region ? pickRegion(readSource(source), region, source) : readSource(source)
      return `\`\`\`${language} source=${source}${region ? `#${region}` : ''}\n${text.trimEnd()}\n\`\`\``
    },
  )
}

function pickRegion(text: string, region: string, source: string): string {
  const lines = text.split('\n')
  const start = lines.findIndex(line => line.trim() === `// #region ${region}`)
  const end = lines.findIndex((line, index) => index > start && line.trim() === `// #endregion ${region}`)
  if (start < 0 || end < 0) throw new Error(`${source} has no region ${region}`)
  const body = lines.slice(start + 1, end)
  const indent = Math.min(
    ...body.filter(line => line.trim()).map(line => line.length - line.trimStart().length),
  )
  return body.map(line => line.slice(indent)).join('\n')
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..')
  for (const page of ['README.md', ...globSync('docs/*.md', { cwd: root })]) {
    const path = join(root, page)
    writeFileSync(
      path,
      pullExamples(readFileSync(path, 'utf8'), source => readFileSync(join(root, source), 'utf8')),
    )
  }
}
