/** Something to wait for, in both directions: that it was reached, and that it may go on. */
export function gate() {
  let reach = () => {}
  const reached = new Promise<void>(resolve => {
    reach = resolve
  })
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return {
    reached,
    open,
    pass() {
      reach()
      return opened
    },
  }
}
