#!/usr/bin/env node
import { ConfigurationError, StoreUnavailableError } from '@sallyport/oauth'
import { rekeyCommand } from './rekey-command.ts'

const usage = `sallyport <command>, with the environment of your server

  rekey   seals stored tokens and keys again by the newest secret of SALLYPORT_SECRET`

const [command] = process.argv.slice(2)
if (command === 'rekey') {
  try {
    await rekeyCommand(process.env, line => console.log(line))
  } catch (error) {
    if (error instanceof ConfigurationError) console.error(error.message)
    else if (error instanceof StoreUnavailableError) {
      console.error('The store does not answer: run the command again when it does.')
    } else throw error
    process.exitCode = 1
  }
} else {
  const wasAsked = command === undefined || command === 'help'
  if (wasAsked) console.log(usage)
  else console.error(usage)
  process.exitCode = wasAsked ? 0 : 1
}
