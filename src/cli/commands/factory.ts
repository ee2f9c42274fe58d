import type { CommandModule } from '../cli.ts'
import { defineCancel, defineDelete, defineRetry } from '../factory/control.ts'
import { defineImages, defineLogs, defineShow } from '../factory/images.ts'
import { defineImport } from '../factory/import.ts'
import { defineBase, defineProvider, defineTarget } from '../factory/order.ts'
import { definePlugins, defineReap } from '../factory/plugins.ts'
import { defineSave } from '../factory/save.ts'

const HELP = `
The embedded factory is meant unless another one is named by --endpoint: it builds in this process, and Ctrl-C cancels
the build and waits until what it made is removed. A target or provider image by --template has the images before
it built first.
  ingot factory base debian-12.yaml
  ingot factory target ova --id debian-12
  ingot factory save debian-12 --output debian-12.ova
  ingot factory provider openstack my-cloud --template debian-12.yaml`

/** `ingot factory …`: base, target and provider images, here or by an Ingot elsewhere. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .usage('base|target|provider|import|images|show|logs|save|cancel|retry|delete|plugins|reap')
    .addHelpText('after', HELP)
  for (const add of [
    defineBase,
    defineTarget,
    defineProvider,
    defineImport,
    defineImages,
    defineShow,
    defineLogs,
    defineSave,
    defineCancel,
    defineRetry,
    defineDelete,
    definePlugins,
    defineReap,
  ])
    add(command, openCli)
}
