import { describe, expect, it } from 'vitest'
import type { Context } from '../context.ts'
import { authorizationServerMetadata, createMetadataEndpoint, metadataPaths } from './metadata.ts'

const proofAlgorithms = ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256']
const configuration = {
  issuer: 'https://mcp.example.com:8443/auth',
  scopes: { 'notes:read': 'Read your notes', 'notes:write': 'Change your notes' },
  grantTypes: ['authorization_code', 'refresh_token'],
  openid: true,
  signIn: {},
  dynamicRegistration: true,
  clientIdMetadataDocuments: true,
  resourceServers: undefined,
  dpop: { algorithms: proofAlgorithms },
}

const methods = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']
const algorithms = ['ES256', 'EdDSA', 'PS256', 'RS256']

describe('authorizationServerMetadata', () => {
  it('R1-R8: names every endpoint below the issuer, and only what is enforced', () => {
    expect(authorizationServerMetadata(configuration)).toEqual({
      issuer: 'https://mcp.example.com:8443/auth',
      authorization_endpoint: 'https://mcp.example.com:8443/auth/oauth/authorize',
      pushed_authorization_request_endpoint: 'https://mcp.example.com:8443/auth/oauth/par',
      token_endpoint: 'https://mcp.example.com:8443/auth/oauth/token',
      jwks_uri: 'https://mcp.example.com:8443/auth/oauth/jwks',
      registration_endpoint: 'https://mcp.example.com:8443/auth/oauth/register',
      revocation_endpoint: 'https://mcp.example.com:8443/auth/oauth/revoke',
      userinfo_endpoint: 'https://mcp.example.com:8443/auth/oauth/userinfo',
      end_session_endpoint: 'https://mcp.example.com:8443/auth/oauth/end-session',
      claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'auth_time', 'nonce', 'amr', 'acr', 'sid'],
      prompt_values_supported: ['none', 'consent'],
      scopes_supported: ['notes:read', 'notes:write'],
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_methods_supported: methods,
      token_endpoint_auth_signing_alg_values_supported: algorithms,
      revocation_endpoint_auth_methods_supported: methods,
      revocation_endpoint_auth_signing_alg_values_supported: algorithms,
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      dpop_signing_alg_values_supported: proofAlgorithms,
      client_id_metadata_document_supported: true,
    })
  })

  it('R8, R11, R13, R159: what is off is absent, and no array is empty', () => {
    const document = authorizationServerMetadata({
      ...configuration,
      scopes: {},
      dynamicRegistration: false,
      clientIdMetadataDocuments: false,
      dpop: undefined,
    })
    expect(document).not.toHaveProperty('registration_endpoint')
    expect(document).not.toHaveProperty('client_id_metadata_document_supported')
    expect(document).not.toHaveProperty('dpop_signing_alg_values_supported')
    expect(document).not.toHaveProperty('scopes_supported')
  })

  it.each([undefined, 'ES256' as const])(
    'R6: clients that insist on S256 find it, and nothing weaker (%s)',
    alg => {
      expect(authorizationServerMetadata(configuration, alg).code_challenge_methods_supported).toEqual([
        'S256',
      ])
    },
  )

  it('R10, R25: what does not exist is not mentioned', () => {
    const text = JSON.stringify(authorizationServerMetadata(configuration, 'ES256'))
    for (const absent of ['jwt-bearer', 'authorization_grant_profiles_supported']) {
      expect(text).not.toContain(absent)
    }
  })

  it('R5: introspection and client credentials are named only where somebody may use them', () => {
    const document = authorizationServerMetadata({
      ...configuration,
      grantTypes: [...configuration.grantTypes, 'client_credentials'],
      resourceServers: () => undefined,
    })
    expect(document).toMatchObject({
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
      introspection_endpoint: 'https://mcp.example.com:8443/auth/oauth/introspect',
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    })
    const without = authorizationServerMetadata(configuration)
    expect(Object.keys(without).filter(name => name.startsWith('introspection'))).toEqual([])
    expect(without.grant_types_supported).not.toContain('client_credentials')
  })

  it('R9, R159: assertions and proofs are signed with a private key: no algorithm with a shared secret, and never none', () => {
    for (const name of [...algorithms, ...proofAlgorithms]) expect(name).not.toMatch(/^(HS|none)/)
  })

  it('R5: with OpenID Connect off, the OpenID document has what its readers require, and nothing of what is off', () => {
    const off = { ...configuration, openid: false }
    const document = authorizationServerMetadata(off, 'ES256')
    for (const member of ['userinfo_endpoint', 'end_session_endpoint', 'claims_supported']) {
      expect(document).not.toHaveProperty(member)
    }
    expect(document).toMatchObject({
      ...authorizationServerMetadata(off),
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      request_uri_parameter_supported: false,
    })
    expect(document.scopes_supported).not.toContain('openid')
    expect(document.response_types_supported).toEqual(['code'])
  })

  it('R59: a prompt is named when the sign-in honours it', () => {
    const signIn = { prompts: ['login' as const] }
    expect(authorizationServerMetadata({ ...configuration, signIn }).prompt_values_supported).toEqual([
      'none',
      'consent',
      'login',
    ])
  })

  it('R3: host names in the request change nothing', async () => {
    const endpoint = createMetadataEndpoint()
    const request = new Request('http://evil.example/.well-known/oauth-authorization-server', {
      headers: { 'X-Forwarded-Host': 'evil.example', Forwarded: 'host=evil.example' },
    })
    const response = await endpoint(configuration as unknown as Context, request, {})
    expect(await response.json()).toEqual(authorizationServerMetadata(configuration))
  })

  it('R11: the document may be cached, for less than an hour', async () => {
    const response = await createMetadataEndpoint()(
      configuration as unknown as Context,
      new Request('https://mcp.example.com/'),
      {},
    )
    expect(response.headers.get('content-type')).toBe('application/json')
    const maxAge = /^public, max-age=(\d+)$/.exec(response.headers.get('cache-control') ?? '')?.[1]
    expect(Number(maxAge)).toBeGreaterThan(0)
    expect(Number(maxAge)).toBeLessThanOrEqual(3600)
  })
})

describe('metadataPaths', () => {
  it('R1: an issuer without a path has one location per document', () => {
    expect(metadataPaths('https://mcp.example.com')).toEqual({
      oauth: ['/.well-known/oauth-authorization-server'],
      openid: ['/.well-known/openid-configuration'],
    })
  })

  it('R1: an issuer with a path is found by insertion, and for OpenID by appending too', () => {
    expect(metadataPaths('https://mcp.example.com/a/b')).toEqual({
      oauth: ['/.well-known/oauth-authorization-server/a/b'],
      openid: ['/.well-known/openid-configuration/a/b', '/a/b/.well-known/openid-configuration'],
    })
  })
})
