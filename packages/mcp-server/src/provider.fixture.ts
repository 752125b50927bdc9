import { fakeProvider as createFakeProvider } from './testing/fake-provider.ts'

/** The fake provider of the test kit, connected to no server, whose API is `https://<id>.example`. */
export function fakeProvider<const Id extends string>(id: Id) {
  let failure: Error | undefined
  const fake = createFakeProvider(id, {
    label: id.toUpperCase(),
    api: { [`https://${id}.example`]: () => Response.json({ via: id }) },
  })
  const joined = { ...fake, connect: () => connected }
  const connected = fake.connect({ clock: () => 1_800_000_000 } as Parameters<typeof fake.connect>[0])
  const check = () => {
    if (failure) throw failure
  }
  const { token, fetch } = connected
  connected.token = async (...use) => {
    check()
    return token(...use)
  }
  connected.fetch = async (...use) => {
    check()
    return fetch(...use)
  }
  return {
    provider: joined,
    connected,
    connections: fake.connections,
    requests: fake.requests,
    started: fake.trips,
    fail(error: Error | undefined) {
      failure = error
    },
  }
}
