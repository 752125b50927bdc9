/** Whether a host, as in `URL.hostname` or `HOST`, is this machine and nothing else. */
export const isLoopback = (hostname: string): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname)

/** The names a loopback server is reached by. */
export const loopbackNames: readonly string[] = ['localhost', '127.0.0.1', '[::1]']
