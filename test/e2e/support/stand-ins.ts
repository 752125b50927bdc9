import { registerHooks } from 'node:module'

/**
 * Preloaded into an example that must run as it stands: providers get the endpoints of the test upstream, and what is
 * sent to their APIs goes to the upstream's API. The example's file is not touched.
 */
const apiOrigins = JSON.parse(process.env.STAND_IN_API_ORIGINS ?? '{}') as Record<string, string>

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '@sallyport/providers' && context.parentURL?.includes('/examples/')
      ? { url: new URL('stand-in-providers.ts', import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
})

const realFetch = globalThis.fetch
globalThis.fetch = (input, init) => {
  if (input instanceof Request) return realFetch(input, init)
  const url = new URL(input)
  const standIn = apiOrigins[url.origin]
  return realFetch(standIn === undefined ? url : new URL(url.pathname + url.search, standIn), init)
}
