#!/usr/bin/env node
import { ConfigurationError, StoreUnavailableError } from '@sallyport/oauth'
import { initCommand } from './init-command.ts'
import { rekeyCommand } from './rekey-command.ts'

const usage = `sallyport <command>

  init <folder>   makes a server to begin with, in a new folder
  rekey           seals stored tokens and keys again by the newest secret of SALLYPORT_SECRET; with the environment of
                  your server`

const print = (line: string) => console.log(line)
const [command, argument] = process.argv.slice(2)
try {
  if (command === 'init') await initCommand(argument, print)
  else if (command === 'rekey') await rekeyCommand(process.env, print)
  else if (command === undefined || command === 'help') print(usage)
  else {
    console.error(usage)
    process.exitCode = 1
  }
} catch (error) {
  if (error instanceof ConfigurationError) console.error(error.message)
  else if (error instanceof StoreUnavailableError) {
    console.error('The store does not answer: run the command again when it does.')
  } else throw error
  process.exitCode = 1
}
