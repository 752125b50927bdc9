import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ConfigurationError } from '@sallyport/oauth'

/** Beside `src` and `dist` alike. */
const ownFolder = new URL('..', import.meta.url)

/** What the template has, by the name it gets. */
const files: Readonly<Record<string, string>> = {
  'server.ts': 'server.ts',
  'start.ts': 'start.ts',
  'server.test.ts': 'server.test.ts',
  'tsconfig.json': 'tsconfig.json',
  'README.md': 'README.md',
  // npm leaves a file of this name out of packages.
  '.gitignore': 'gitignore',
}

/**
 * `sallyport init <folder>`: a server to begin with, in a new folder whose name it takes.
 *
 * @param print told one line at a time
 * @throws {ConfigurationError} when there is no folder of that name to be made; nothing is written
 */
export async function initCommand(folder: string | undefined, print: (line: string) => void): Promise<void> {
  if (folder === undefined) throw new ConfigurationError('Say where: sallyport init my-server.')
  const path = resolve(folder)
  const name = basename(path)
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) {
    throw new ConfigurationError(
      `"${name}" must be 1 to 63 of a-z, 0-9, "-" and "_": the server takes its name.`,
    )
  }
  await makeFolder(path)
  for (const [file, source] of Object.entries(files)) {
    const text = await readFile(new URL(`template/${source}`, ownFolder), 'utf8')
    await writeFile(join(path, file), text.replaceAll('my-server', name))
  }
  const own = JSON.parse(await readFile(new URL('package.json', ownFolder), 'utf8')) as Manifest
  await writeFile(join(path, 'package.json'), `${JSON.stringify(manifest(name, own), null, 2)}\n`)
  print(`Made ${path}. Next:`)
  for (const line of [`cd ${folder}`, 'npm install', 'npm start']) print(`  ${line}`)
}

/** @throws {ConfigurationError} when it has something in it, is a file, or cannot be made there */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
    if ((await readdir(path)).length === 0) return
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    // A file of that name, or in place of a folder above it.
    const sentence =
      code === 'EEXIST' || code === 'ENOTDIR'
        ? `${await firstFile(path)} is a file: choose another name, or another folder.`
        : `${path} cannot be made or read${code === undefined ? '' : ` (${code})`}: choose a folder that you may write to.`
    throw new ConfigurationError(sentence, { cause })
  }
  throw new ConfigurationError(`${path} is there already: choose another name.`)
}

/** The first of the folders on a path that is none. */
async function firstFile(path: string): Promise<string> {
  const parent = dirname(path)
  const above = parent === path ? path : await firstFile(parent)
  const isFile = async (place: string) =>
    stat(place).then(
      found => !found.isDirectory(),
      () => false,
    )
  return (await isFile(above)) ? above : path
}

interface Manifest {
  version: string
  dependencies: Readonly<Record<string, string>>
  peerDependencies: Readonly<Record<string, string>>
}

const manifest = (name: string, { version, dependencies, peerDependencies }: Manifest) => ({
  name,
  version: '0.1.0',
  private: true,
  type: 'module',
  engines: { node: '>=22.18' },
  scripts: {
    start: 'node start.ts',
    dev: 'node --watch start.ts',
    test: 'node --test',
    types: 'tsc',
  },
  dependencies: {
    '@modelcontextprotocol/server': peerDependencies['@modelcontextprotocol/server'],
    '@sallyport/mcp-server': `^${version}`,
    '@sallyport/providers': `^${version}`,
    hono: peerDependencies.hono,
    zod: dependencies.zod,
  },
  devDependencies: {
    '@modelcontextprotocol/client': peerDependencies['@modelcontextprotocol/client'],
    '@types/node': '>=22.18',
    typescript: '>=5.9',
  },
})
