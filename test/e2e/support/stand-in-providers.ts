import type { Provider } from '@sallyport/mcp-server'
import * as real from '@sallyport/providers'

const endpointsOf = JSON.parse(process.env.STAND_IN_ENDPOINTS ?? '{}') as Record<
  string,
  Partial<real.ProviderEndpoints>
>
const at = (kind: string) => {
  const endpoints = endpointsOf[kind]
  return endpoints ? { endpoints } : {}
}

export const google = (): Provider<'google'> => real.google(at('google'))
export const linkedin = (): Provider<'linkedin'> => real.linkedin(at('linkedin'))
export const github = (): Provider<'github'> => real.github(at('github'))
export const { octokitAuth } = real
