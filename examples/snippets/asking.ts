import { ClientCapabilityError, createServer, developmentSignIn } from '@sallyport/mcp-server'
import { z } from 'zod'

const server = createServer({ name: 'albums', version: '1.0.0', signIn: developmentSignIn() })

// #region form
server.tool('delete-album', {
  description: 'Deletes an album, after asking its owner',
  input: z.object({ name: z.string() }),
  auth: {},
  run: async ({ name }, { elicit }) => {
    const answer = await elicit({
      message: `Delete "${name}" for good?`,
      schema: z.object({ sure: z.boolean(), reason: z.string().optional() }),
    })
    if (answer.action !== 'accept' || !answer.content.sure) return 'Kept.'
    return removeAlbum(name, answer.content.reason)
  },
})
// #endregion form

// #region link
server.tool('pay', {
  description: 'Pays an invoice on a page of the shop',
  input: z.object({ invoice: z.string() }),
  auth: {},
  run: async ({ invoice }, { elicit }) => {
    const { action } = await elicit({
      message: 'Pay the invoice',
      url: `https://shop.example/pay/${invoice}`,
    })
    if (action !== 'accept') return 'Not paid.'
    return (await isPaid(invoice)) ? 'Paid.' : 'The page was opened, but nothing has been paid yet.'
  },
})
// #endregion link

// #region several
server.tool('new-album', {
  description: 'Makes an album from a folder',
  auth: {},
  run: async (_, { elicit, roots }) => {
    const [folders, title] = await Promise.all([
      roots(),
      elicit({ message: 'What is it called?', schema: z.object({ title: z.string().min(1) }) }),
    ])
    return makeAlbum(title.content?.title ?? 'Untitled', folders[0]?.uri)
  },
})
// #endregion several

// #region rerun
server.tool('order', {
  description: 'Orders, after asking',
  input: z.object({ item: z.string() }),
  auth: {},
  run: async ({ item }, { elicit }) => {
    const price = await priceOf(item) // runs once more with each answer: reading is fine
    const answer = await elicit({
      message: `Order for ${price}?`,
      schema: z.object({ yes: z.boolean() }),
      once: true,
    })
    if (!answer.content?.yes) return 'Not ordered.'
    return placeOrder(item) // what must happen once stands behind the last question
  },
})
// #endregion rerun

// #region kept
server.tool('reserve', {
  description: 'Reserves a seat, after asking',
  auth: {},
  run: async (_, { elicit, requestState }) => {
    const seat = await requestState.once('seat', holdSeat) // one seat, however often this runs
    const answer = await elicit({ message: `Seat ${seat}?`, schema: z.object({ yes: z.boolean() }) })
    return answer.content?.yes ? `Seat ${seat} is yours.` : 'Another time.'
  },
})
// #endregion kept

// #region fallback
server.tool('guess', {
  description: 'Suggests an album; asks when it can',
  auth: {},
  run: async (_, { elicit, clientCan }) => {
    if (!clientCan.elicit) return suggestAlbum()
    const { content } = await elicit({ message: 'Which year?', schema: z.object({ year: z.int() }) })
    return suggestAlbum(content?.year)
  },
})
server.tool('guess-again', {
  description: 'The same, with the error',
  auth: {},
  run: async (_, { elicit }) => {
    try {
      const { content } = await elicit({ message: 'Which year?', schema: z.object({ year: z.int() }) })
      return suggestAlbum(content?.year)
    } catch (error) {
      if (error instanceof ClientCapabilityError) return suggestAlbum()
      throw error
    }
  },
})
// #endregion fallback

const albums = new Map<string, string | undefined>()
async function removeAlbum(name: string, reason = 'no reason'): Promise<string> {
  albums.delete(name)
  return `Deleted: ${reason}.`
}
async function makeAlbum(title: string, folder?: string): Promise<string> {
  albums.set(title, folder)
  return `Made ${title}.`
}
async function isPaid(invoice: string): Promise<boolean> {
  return invoice.startsWith('paid')
}
async function priceOf(item: string): Promise<string> {
  return `${item.length} euros`
}
let seats = 0
async function holdSeat(): Promise<number> {
  seats = (seats % 2) + 1
  return seats
}
async function placeOrder(item: string): Promise<string> {
  return `Ordered ${item}.`
}
function suggestAlbum(year = 2000): string {
  return `Summer of ${year}`
}

export { server }
