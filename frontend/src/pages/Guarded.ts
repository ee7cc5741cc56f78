/** A component that survives an error of its content: without one, Preact removes the whole page. */
import { Component } from "preact";

export abstract class Guarded<P> extends Component<P, { broken: boolean }> {
  override state = { broken: false };

  override componentDidCatch(error: unknown): void {
    reportError(error); // to the console, as if it had not been caught
    this.setState({ broken: true });
  }
}
