import { jwtBearerGrantType } from '../protocol/grant-types.ts'
import { authorizationCode } from './authorization-code.ts'
import { clientCredentials } from './client-credentials.ts'
import type { GrantHandler } from './grant-type.ts'
import { jwtBearer } from './jwt-bearer.ts'
import { refreshToken } from './refresh-token.ts'

/** `grant_type` → grant: the only list of them. The metadata is read off it. */
const grants: ReadonlyMap<string, GrantHandler> = new Map([
  ['authorization_code', authorizationCode],
  ['refresh_token', refreshToken],
  ['client_credentials', clientCredentials],
  [jwtBearerGrantType, jwtBearer],
])

/** Names of the grants that the token endpoint knows. */
export const grantTypes: readonly string[] = [...grants.keys()]

/** The grant of that name, or undefined when there is none. */
export const findGrantHandler = (grantType: string): GrantHandler | undefined => grants.get(grantType)
