import { Failure } from '../../base/failure.ts'
import { addHostOptions, type HostFlags, namesHosts, runHosts } from '../_hosts.ts'
import { addRecipeOptions, readRecipeInput } from '../_recipe-options.ts'
import type { CommandModule } from '../cli.ts'

interface ProvisionFlags extends HostFlags {
  plan?: boolean
}

const HELP = `
Each step looks first and does something only where the host is not as the recipe says, so that a second
run changes nothing. A host that fails stops no other. Your ssh configuration, agent and jump hosts are
used; nothing is asked, and nothing but a shell is needed there.
Exit code 0: all hosts are as the recipe says; 1: one is not, and its report says why.`

/** `ingot provision RECIPE --ssh HOST`: brings running hosts to the state of a recipe. */
export const define: CommandModule['define'] = async (command, argv, openCli) => {
  command
    .usage('RECIPE --ssh [USER@]HOST[:PORT] ... [--become] [options] [arguments of the recipe]')
    .argument('<recipe>', 'the recipe, a YAML file')
  addHostOptions(command)
  command
    .option('--step-timeout <time>', 'how long one command of a step may take, such as 90s or 10m')
    .option('--plan', 'say what would be done, and do nothing')
    .option('--report <file>', 'write the reports to a file, .json or .xml (JUnit)')
    .addHelpText('after', HELP)
  await addRecipeOptions(command, argv)
  command.action(async (file: string, flags: ProvisionFlags) => {
    const cli = openCli(command)
    const { recipe, values } = await readRecipeInput(file, command)
    if (flags.plan) {
      const { printPlan } = await import('../_plan.ts')
      printPlan(recipe, values, 'provision', cli)
      return
    }
    if (!namesHosts(flags))
      throw new Failure('USAGE', 'no host was named', { fix: 'Say --ssh [USER@]HOST[:PORT].' })
    await runHosts(recipe, values, flags, 'reconcile', cli)
  })
}
