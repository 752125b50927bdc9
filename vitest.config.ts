import { transform } from 'esbuild'
import { defineConfig, type Plugin } from 'vitest/config'

/** Vite does not lower standard decorators; files that use them are compiled with esbuild first. */
const decorators: Plugin = {
  name: 'standard-decorators',
  enforce: 'pre',
  async transform(code, id) {
    if (!id.endsWith('.ts') || id.includes('/node_modules/') || !/^\s*@[a-zA-Z]+[(\n]/m.test(code)) return
    const { code: lowered, map } = await transform(code, {
      loader: 'ts',
      target: 'es2022',
      sourcefile: id,
      sourcemap: true,
    })
    return { code: lowered, map }
  },
}

const sharedTest = { setupFiles: [new URL('./scripts/property-seed.ts', import.meta.url).pathname] }

const shared = {
  plugins: [decorators],
  resolve: { conditions: ['sallyport-source'] },
  ssr: { resolve: { conditions: ['sallyport-source', 'node', 'import', 'module', 'default'] } },
}

export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'unit',
          // Far more than any takes: a busy machine must not fail a test that measures nothing.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // A worker waits often: by default a machine with two cores would have one, and stand idle half of the time.
          maxWorkers: 2,
          include: [
            'packages/*/src/**/*.test.ts',
            'examples/*/*.test.ts',
            'test/unit/**/*.test.ts',
            'test/upstream/**/*.test.ts',
            'scripts/*.test.ts',
            'bench/**/*.test.ts',
          ],
          exclude: ['**/node_modules/**', '**/*.redis.test.ts'],
        },
      },
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'redis',
          include: ['packages/*/src/**/*.redis.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
        },
      },
      {
        ...shared,
        test: {
          ...sharedTest,
          name: 'conformance',
          include: ['test/conformance/**/*.test.ts'],
          testTimeout: 60_000,
          // The referee runs in hooks, all its scenarios at once; one that gets no answer waits for half a minute.
          hookTimeout: 240_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
