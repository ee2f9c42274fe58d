import { Argument } from 'commander'
import { toBash } from '../completion/bash.ts'
import { toFish } from '../completion/fish.ts'
import { placesOf } from '../completion/places.ts'
import { toZsh } from '../completion/zsh.ts'
import type { CommandModule } from '../cli.ts'

const SCRIPTS = { bash: toBash, zsh: toZsh, fish: toFish }
type Shell = keyof typeof SCRIPTS

const HELP = `
  bash: ingot completion bash > /etc/bash_completion.d/ingot
  zsh:  ingot completion zsh > "\${fpath[1]}/_ingot"
  fish: ingot completion fish > ~/.config/fish/completions/ingot.fish`

/** `ingot completion bash|zsh|fish`: made from the same definitions as the help. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .addArgument(new Argument('<shell>', 'the shell to complete in').choices(Object.keys(SCRIPTS)))
    .addHelpText('after', HELP)
    .action(async (shell: Shell) => {
      const cli = openCli(command)
      const { describeCommands } = await import('../_describe-commands.ts')
      cli.print(SCRIPTS[shell](placesOf(await describeCommands())))
    })
}
