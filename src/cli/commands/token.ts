import { randomUUID } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { isSeq, parseDocument, stringify } from 'yaml'
import { hashToken, makeToken } from '../../access/identity/token-hash.ts'
import { asFileFailure, Failure, systemCode } from '../../base/failure.ts'
import { didYouMean } from '../../schema/find-faults.ts'
import type { CommandModule } from '../cli.ts'
import { collect } from '../image/_subcommand.ts'

interface TokenFlags {
  project: string
  role?: readonly string[]
  user?: string
  expires?: string
  file?: string
}

/** Those that rules know by default. */
const ROLES = ['admin', 'manager', 'member', 'reader', 'service']

const HELP = `
The token is shown once; the file of tokens (\`auth.tokens_file\`) holds only what it hashes to:
  ingot token alice --project web --role member --file tokens.yaml
A server that runs reads the file again by itself. Without --file, what belongs into it is printed too.`

/** `ingot token NAME`: makes a token for `auth.mode: token`. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .usage('NAME --project ID [--role ROLE]… [--file TOKENS.YAML]')
    .argument('<name>', 'whose it is, for logs and people')
    .requiredOption('--project <id>', 'whose images it may see and change')
    .option(
      '--role <role>',
      'admin, manager, member, reader or service; may be repeated (default member)',
      collect,
    )
    .option('--user <id>', 'the user’s id; left out: NAME')
    .option('--expires <time>', 'when it ends, as in 2027-01-31T00:00:00Z; left out: never')
    .option('--file <path>', 'the file of tokens, to which it is added')
    .addHelpText('after', HELP)
    .action(async (name: string, flags: TokenFlags) => {
      const cli = openCli(command)
      const { project, role: roles = ['member'], user, expires, file } = flags
      if (expires !== undefined && Number.isNaN(Date.parse(expires)))
        throw new Failure('USAGE', `--expires ${expires}: wanted a time, as 2027-01-31T00:00:00Z`)
      const unknown = roles.filter((role) => !ROLES.includes(role.toLowerCase()))
      for (const role of unknown)
        cli.say(`note: only a policy of yours knows the role '${role}'${didYouMean(role, ROLES)}`)
      const token = makeToken()
      const entry = {
        name,
        hash: hashToken(token),
        project,
        roles: [...roles],
        ...(user !== undefined && { user }),
        ...(expires !== undefined && { expires }),
      }
      if (file !== undefined) await addEntry(file, entry)
      if (cli.json) return cli.print(JSON.stringify({ token, entry }))
      cli.print(token)
      if (file === undefined) {
        cli.say('for the file of tokens:')
        cli.print(stringify({ tokens: [entry] }))
      } else cli.say(`added to ${file}; nobody can show the token again`)
    })
}

/** Adds to the file, whose own text stays as it is; one that is not there is made, for its owner only. */
async function addEntry(path: string, entry: object): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined
    throw asFileFailure(error, path)
  })
  const working = `${path}.${randomUUID()}`
  try {
    await writeFile(
      working,
      text === undefined ? stringify({ tokens: [entry] }) : withEntry(text, entry, path),
      { mode: 0o600 },
    )
    await rename(working, path) // a server that reads it meanwhile sees the old one, or this one
  } catch (error) {
    await rm(working, { force: true })
    throw asFileFailure(error, path)
  }
}

/** Fails with CONFIG_INVALID. */
function withEntry(text: string, entry: object, path: string): string {
  const document = parseDocument(text)
  const [fault] = document.errors
  if (fault !== undefined || !isSeq(document.get('tokens')))
    throw new Failure('CONFIG_INVALID', `${path} is no file of tokens`, { cause: fault })
  document.addIn(['tokens'], document.createNode(entry))
  return document.toString()
}
