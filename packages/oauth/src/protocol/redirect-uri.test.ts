import { describe, expect, it } from 'vitest'
import {
  appendResponseParameters,
  builtInRedirectUriSchemes,
  isLoopbackRedirectUri,
  isPrivateUseScheme,
  matchesRedirectUri,
  redirectUriHost,
  redirectUriProblem,
} from './redirect-uri.ts'

const problem = (uri: string, schemes: readonly string[] = []) => redirectUriProblem(uri, { schemes })

describe('redirectUriProblem', () => {
  it.each([
    'https://claude.ai/api/mcp/auth_callback',
    'https://vscode.dev/redirect',
    'http://127.0.0.1/',
    'http://127.0.0.1:33418/',
    'http://localhost/callback',
    'http://[::1]:8080/callback?x=1',
    'http://127.0.0.5:80',
    'https://client.example',
    'https://client.example:8443/cb?next=%2Fhome&codes=1#'.slice(0, -1),
    'https://xn--mller-kva.example/cb',
    'https://client.example/a..b/.well-known/...',
    'https://localhost:8443/cb',
    'cursor://anysphere.cursor-retrieval/oauth/callback',
    'vscode://vscode.microsoft-authentication/cb',
    'com.example.app:/oauth',
    'com.example.app://oauth/cb?x=1',
  ])('R16: %s, as clients register it, is accepted', uri => {
    expect(problem(uri)).toBeUndefined()
  })

  /** What must never be redirected to, each with the word of the sentence its developer reads. */
  const hostile: [string, RegExp][] = [
    // no absolute URI
    ['', /must be percent-encoded/],
    ['/callback', /not absolute/],
    ['callback', /not absolute/],
    ['//client.example/cb', /not absolute/],
    ['?code', /not absolute/],
    ['client.example/cb', /not absolute/],
    [':/cb', /not absolute/],
    ['1https://client.example', /not absolute/],
    // schemes that run, read or open something
    ['javascript:alert(1)', /scheme/],
    ['javascript://client.example/%0aalert(1)', /scheme/],
    ['JavaScript:alert(1)', /lower case/],
    ['JAVASCRIPT://x/y', /lower case/],
    ['java\tscript:alert(1)', /percent-encoded/],
    ['java\nscript:alert(1)', /percent-encoded/],
    [' javascript:alert(1)', /percent-encoded/],
    ['\u0001javascript:alert(1)', /percent-encoded/],
    ['java%73cript:alert(1)', /not absolute/],
    ['data:text/html,x', /scheme/],
    ['data://text/html;base64,PHg+', /scheme/],
    ['Data:text/html,x', /lower case/],
    ['vbscript:x', /scheme/],
    ['file:///etc/passwd', /scheme/],
    ['blob:https://client.example/x', /scheme/],
    ['about:blank', /scheme/],
    ['ws://client.example/', /scheme/],
    ['wss://client.example/', /scheme/],
    ['filesystem:https://client.example/x', /scheme/],
    ['view-source:https://client.example/', /scheme/],
    ['intent://x#Intent;end', /fragment/],
    ['intent://x/', /scheme/],
    ['ftp://client.example/', /scheme/],
    ['mailto:a@b.example', /scheme/],
    ['myapp://cb', /scheme/],
    ['urn:ietf:wg:oauth:2.0:oob', /scheme/],
    ['a.:/cb', /scheme/],
    // http off this machine
    ['http://client.example/cb', /http must be on/],
    ['http://10.0.0.1/cb', /http must be on/],
    ['http://localhost.evil.example/cb', /http must be on/],
    ['http://127.0.0.1.evil.example/cb', /http must be on/],
    ['http://app.localhost/cb', /http must be on/],
    ['http://localhost./cb', /http must be on/],
    ['http://[::ffff:7f00:1]/cb', /http must be on/],
    ['http://[::2]/cb', /http must be on/],
    ['http://0.0.0.0/cb', /http must be on/],
    // hosts that a parser turns into other hosts
    ['http://127.1/cb', /normal form/],
    ['http://0x7f000001/cb', /normal form/],
    ['http://2130706433/cb', /normal form/],
    ['http://0177.0.0.1/cb', /normal form/],
    ['http://[0:0:0:0:0:0:0:1]/cb', /normal form/],
    ['https://CLIENT.example/cb', /normal form/],
    ['https://client%2eexample/cb', /normal form/],
    ['https:///client.example/cb', /normal form/],
    ['https://:443/cb', /normal form/],
    ['https://client.example:99999/cb', /normal form/],
    ['https://client.example:x/cb', /normal form/],
    ['https:/client.example/cb', /normal form/],
    ['https:client.example/cb', /slash/],
    ['com.example.app:cb', /slash/],
    ['https://', /normal form/],
    ['com.example.app://[::1]x/cb', /not a valid URL/],
    // userinfo
    ['https://client.example@evil.example/cb', /user name/],
    ['https://user:pass@client.example/cb', /user name/],
    ['https://@client.example/cb', /user name/],
    ['com.example.app://user@x/cb', /user name/],
    // fragment
    ['https://client.example/cb#', /fragment/],
    ['https://client.example/cb#x', /fragment/],
    // characters that parsers repair
    ['https://client.example\\@evil.example/cb', /percent-encoded/],
    ['https://client.example/cb\\..', /percent-encoded/],
    ['https://client.example/c b', /percent-encoded/],
    ['https://client.example/cb\u0000', /percent-encoded/],
    ['https://client.example/cb\n', /percent-encoded/],
    ['https://client.example/cb\u00a0', /percent-encoded/],
    ['https://client.example/<script>', /percent-encoded/],
    ['https://client.example/"', /percent-encoded/],
    ['https://clïent.example/cb', /percent-encoded/],
    ['https://client.example／cb', /percent-encoded/],
    ['https://client.example/%', /percent-encoded/],
    ['https://client.example/%zz', /percent-encoded/],
    ['https://client.example/%4', /percent-encoded/],
    // dot segments
    ['https://client.example/a/../cb', /dot segment/],
    ['https://client.example/./cb', /dot segment/],
    ['https://client.example/..', /dot segment/],
    ['https://client.example/%2e%2E/cb', /dot segment/],
    ['https://client.example/.%2e?x', /dot segment/],
    // R47: parameters that the response brings
    ['https://client.example/cb?code=x', /already has/],
    ['https://client.example/cb?x=1&state=', /already has/],
    ['https://client.example/cb?iss', /already has/],
    ['https://client.example/cb?error=x', /already has/],
    ['https://client.example/cb?c%6fde=x', /already has/],
    ['https://client.example/cb?%43ode=x', /already has/],
    ['https://client.example/cb?CODE=x', /already has/],
    ['https://client.example/cb?a=1;code=x', /already has/],
    ['https://client.example/cb?a?code=x&error_description=y', /already has/],
    ['cursor://x/cb?state=1', /already has/],
    // size
    [`https://client.example/${'a'.repeat(2000)}`, /longer/],
  ]
  it.each(hostile)('R16, R47: %j is refused: %s', (uri, sentence) => {
    expect(problem(uri)).toMatch(sentence)
  })

  it('R16: what is said about a URI holds nothing of it', () => {
    const sentences = new Set(hostile.map(([uri]) => problem(uri)))
    expect(sentences.size).toBeLessThan(14)
    for (const sentence of sentences) expect(sentence).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
  })

  it('R16: a deployer can allow the scheme of an app, but not one that runs something', () => {
    expect(problem('myapp://cb')).toBeDefined()
    expect(problem('myapp://cb', ['myapp'])).toBeUndefined()
    expect(problem('javascript://x/%0aalert(1)', ['javascript'])).toBeDefined()
    expect(isPrivateUseScheme('myapp')).toBe(true)
    for (const scheme of ['javascript', 'data', 'https', 'http', 'MyApp', 'my app', 'myapp:', '']) {
      expect(isPrivateUseScheme(scheme)).toBe(false)
    }
    expect(builtInRedirectUriSchemes.every(isPrivateUseScheme)).toBe(true)
    for (const scheme of ['cursor', 'vscode', 'vscode-insiders', 'windsurf', 'zed']) {
      expect(builtInRedirectUriSchemes).toContain(scheme)
    }
  })
})

describe('matchesRedirectUri', () => {
  const registered = 'https://client.example/cb?x=1&y=%2f'
  it('R41: the registered redirect URI is accepted', () => {
    expect(matchesRedirectUri(['https://other.example/', registered], registered)).toBe(true)
    expect(matchesRedirectUri([], registered)).toBe(false)
  })

  it.each([
    '',
    'https://client.example/cb?x=1&y=%2F',
    'https://client.example/cb?x=1&y=/',
    'https://client.example/cb?x=1&y=%2f&',
    'https://client.example/cb?x=1&y=%2f&z=1',
    'https://client.example/cb?y=%2f&x=1',
    'https://client.example/cb?x=1',
    'https://client.example/cb',
    'https://client.example/cb/?x=1&y=%2f',
    'https://client.example//cb?x=1&y=%2f',
    'https://client.example/./cb?x=1&y=%2f',
    'https://client.example/a/../cb?x=1&y=%2f',
    'https://client.example/%63b?x=1&y=%2f',
    'https://client.example/CB?x=1&y=%2f',
    'https://CLIENT.example/cb?x=1&y=%2f',
    'HTTPS://client.example/cb?x=1&y=%2f',
    'http://client.example/cb?x=1&y=%2f',
    'https://client.example:443/cb?x=1&y=%2f',
    'https://client.example:8443/cb?x=1&y=%2f',
    'https://client.example./cb?x=1&y=%2f',
    'https://client.example.evil.example/cb?x=1&y=%2f',
    'https://evil.example/cb?x=1&y=%2f',
    'https://client.example@evil.example/cb?x=1&y=%2f',
    'https://user@client.example/cb?x=1&y=%2f',
    'https:\\\\client.example/cb?x=1&y=%2f',
    'https://client.example\\cb?x=1&y=%2f',
    ' https://client.example/cb?x=1&y=%2f',
    'https://client.example/cb?x=1&y=%2f ',
    'https://client.example/cb?x=1&y=%2f\n',
    'https://client.example/cb?x=1&y=%2f#',
    'https://client.example/cb?x=1&y=%2f#x',
    'https://client.example/cb?x=1&y=%2f\u0000',
    'https://client．example/cb?x=1&y=%2f',
  ])('R41: %j, which is almost the registered redirect URI, is refused', presented => {
    expect(matchesRedirectUri([registered], presented)).toBe(false)
  })

  it.each([
    // Claude Code registers without a port and listens on one of its choice.
    ['http://localhost/callback', 'http://localhost:54321/callback'],
    ['http://127.0.0.1/callback', 'http://127.0.0.1:1/callback'],
    ['http://[::1]/callback', 'http://[::1]:65535/callback'],
    // VS Code registers one port and falls back to others.
    ['http://127.0.0.1:33418/', 'http://127.0.0.1:40000/'],
    ['http://127.0.0.1/', 'http://127.0.0.1:33418/'],
    ['http://localhost:3000', 'http://localhost'],
    ['http://localhost?x=1', 'http://localhost:3000?x=1'],
  ])('R41: a client that registered %s may listen at %s', (uri, presented) => {
    expect(matchesRedirectUri([uri], presented)).toBe(true)
  })

  it.each([
    ['http://localhost/cb', 'http://127.0.0.1:3000/cb'],
    ['http://127.0.0.1/cb', 'http://localhost:3000/cb'],
    ['http://127.0.0.1/cb', 'http://[::1]:3000/cb'],
    ['http://[::1]/cb', 'http://127.0.0.1:3000/cb'],
    ['http://localhost/cb', 'http://LOCALHOST:3000/cb'],
    ['http://localhost/cb', 'http://localhost.:3000/cb'],
    ['http://localhost/cb', 'http://localhost.evil.example:3000/cb'],
    ['http://localhost/cb', 'http://localhost:3000@evil.example/cb'],
    ['http://localhost/cb', 'http://localhost:3000:80/cb'],
    ['http://localhost/cb', 'http://localhost:/cb'],
    ['http://localhost/cb', 'http://localhost:0/cb'],
    ['http://localhost/cb', 'http://localhost:080/cb'],
    ['http://localhost/cb', 'http://localhost:65536/cb'],
    ['http://localhost/cb', 'http://localhost:-1/cb'],
    ['http://localhost/cb', 'http://localhost:3000/cb/'],
    ['http://localhost/cb', 'http://localhost:3000/CB'],
    ['http://localhost/cb', 'http://localhost:3000/cb?x'],
    ['http://localhost/cb', 'http://localhost:3000/cb#x'],
    ['http://localhost/cb', 'http://localhost:3000\\cb'],
    ['http://localhost/cb', 'https://localhost:3000/cb'],
    ['https://localhost/cb', 'https://localhost:3000/cb'],
    ['http://127.0.0.2/cb', 'http://127.0.0.2:3000/cb'],
    ['http://127.0.0.1/cb', 'http://127.1:3000/cb'],
    ['http://localhost/', 'http://localhost:3000'],
    ['http://localhost', 'http://localhost:3000/'],
    ['http://localhost', 'http://localhost 3000'],
    ['http://localhost ', 'http://localhost'],
  ])('R41: a client that registered %s is not sent to %s', (uri, presented) => {
    expect(matchesRedirectUri([uri], presented)).toBe(false)
  })
})

describe('what the user is shown', () => {
  it.each([
    ['http://127.0.0.1:3000/cb', true, '127.0.0.1'],
    ['http://127.255.0.9/cb', true, '127.255.0.9'],
    ['http://[::1]:3000/cb', true, '[::1]'],
    ['http://localhost/cb', true, 'localhost'],
    ['https://app.localhost:8443/cb', true, 'app.localhost'],
    ['https://localhost./cb', true, 'localhost.'],
    ['https://client.example:8443/localhost', false, 'client.example'],
    ['https://localhost.example/cb', false, 'localhost.example'],
    ['https://client.example?x=@localhost', false, 'client.example'],
    ['cursor://localhost/cb', false, 'cursor:'],
    ['com.example.app:/cb', false, 'com.example.app:'],
  ])('R37: %s is on this machine: %s, and leads to %s', (uri, isLoopback, host) => {
    expect(isLoopbackRedirectUri(uri)).toBe(isLoopback)
    expect(redirectUriHost(uri)).toBe(host)
  })
})

describe('appendResponseParameters', () => {
  it.each([
    ['https://client.example/cb', 'https://client.example/cb?code=a%26b&state=x%20y'],
    ['https://client.example', 'https://client.example?code=a%26b&state=x%20y'],
    ['https://client.example/cb?', 'https://client.example/cb?code=a%26b&state=x%20y'],
    ['https://client.example/cb?X=%2f+&', 'https://client.example/cb?X=%2f+&code=a%26b&state=x%20y'],
    ['https://client.example/cb?x=1&y', 'https://client.example/cb?x=1&y&code=a%26b&state=x%20y'],
    ['cursor://x/cb', 'cursor://x/cb?code=a%26b&state=x%20y'],
  ])('R47: the answer to %s keeps it byte for byte', (uri, expected) => {
    expect(appendResponseParameters(uri, { code: 'a&b', error: undefined, state: 'x y' })).toBe(expected)
    expect(appendResponseParameters(uri, { state: undefined })).toBe(uri)
  })
})
