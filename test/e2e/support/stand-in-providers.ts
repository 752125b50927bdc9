import type { Provider } from '@sallyport/mcp-server'
import * as real from '@sallyport/providers'

const endpoints = JSON.parse(process.env.STAND_IN_ENDPOINTS ?? '{}') as Partial<real.ProviderEndpoints>

export const google = (): Provider<'google'> => real.google({ endpoints })
export const linkedin = (): Provider<'linkedin'> => real.linkedin({ endpoints })
export const github = (): Provider<'github'> => real.github({ endpoints })
export const { octokitAuth } = real
