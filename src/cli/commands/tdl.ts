import { validatorMap } from '../../app/builtin.ts'
import { Failure } from '../../base/failure.ts'
import type { Command } from 'commander'
import { tellFaults } from '../_faults.ts'
import type { CommandModule, OpenCli } from '../cli.ts'

/** `ingot tdl check|show`: templates of Oz and Image Factory, looked at without building anything. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command.usage('check|show')
  defineCheck(command, openCli)
  defineShow(command, openCli)
}

interface CheckOptions {
  strict?: boolean
  requireRootPassword?: boolean
}

function defineCheck(command: Command, openCli: OpenCli): void {
  command
    .command('check')
    .argument('<template...>', 'templates, XML files')
    .description('say everything that is wrong with templates, each fault with its place')
    .option('--strict', 'let warnings count as errors')
    .option('--require-root-password', 'want the password of root in each')
    .exitOverride()
    .action(async (files: string[], { strict, requireRootPassword = false }: CheckOptions) => {
      const cli = openCli(command)
      const inspected = await Promise.all(files.map((file) => inspect(file, requireRootPassword)))
      const faults = inspected.flatMap((one) => one.faults)
      cli.exit(tellFaults(cli, files, faults, strict))
    })
}

async function inspect(file: string, requireRootPassword: boolean) {
  const { readTdl } = await import('../../factory/tdl/read-tdl.ts')
  const { inspectTdl } = await import('../../factory/parse-template.ts')
  const text = await readTdl(file)
  if (typeof text !== 'string') return { template: undefined, faults: [text] }
  return inspectTdl({ text }, { validators: validatorMap(), requireRootPassword, file })
}

function defineShow(command: Command, openCli: OpenCli): void {
  command
    .command('show')
    .argument('<template>', 'the template, an XML file')
    .description('print the recipe that a template becomes, and what is left to the OS builder')
    .option('--show-secrets', 'print passwords and keys as well')
    .exitOverride()
    .action(async (file: string, { showSecrets }: { showSecrets?: boolean }) => {
      const cli = openCli(command)
      const { formatFault } = await import('../../recipes/read-recipe.ts')
      const { describeTemplate } = await import('../../factory/tdl/describe-template.ts')
      const { template, recipe = '', faults } = await inspect(file, false)
      if (!template) {
        const errors = faults.filter(({ severity }) => severity === 'error')
        throw new Failure('TEMPLATE_INVALID', errors.map(formatFault).join('\n'), {
          details: { file, faults: errors },
        })
      }
      const shown = describeTemplate(template, recipe, showSecrets ? [] : template.secrets)
      cli.print(cli.json ? JSON.stringify(shown) : shown.text)
    })
}
