//! What a caller may call: the list of its user and the list of the node together.

use std::sync::Arc;

use rota_api::RpcError;
use rota_api::method::MethodList;

/// How far a user reaches. Calls get it as an extension.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The user's name.
    pub user: Arc<str>,
    /// `rpcwhitelist` of the user.
    pub own: Arc<MethodList>,
    /// `rpcallowmethod` of the node.
    pub node: Arc<MethodList>,
}

impl Reach {
    /// Whether a method may be called.
    #[must_use]
    pub fn admits(&self, name: &str) -> bool {
        self.check(name).is_ok()
    }

    /// Refuses a method that one of the lists leaves out.
    ///
    /// # Errors
    /// -701, with the setting that leaves it out.
    pub fn check(&self, name: &str) -> Result<(), RpcError> {
        if !self.node.admits(name) {
            return Err(RpcError::method_not_allowed(name, "rpcallowmethod of this node"));
        }
        if !self.own.admits(name) {
            return Err(RpcError::method_not_allowed(name, &format!("rpcwhitelist of user {}", self.user)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::Reach;
    use rota_api::Code;
    use std::sync::Arc;

    #[test]
    fn a_method_has_to_be_in_both_lists_and_help_always_is() {
        let list = |text: &str| Arc::new(text.parse().unwrap());
        let reach = Reach { user: "eve".into(), own: list("@read,stop"), node: list("getinfo,publish,stop") };
        for (name, admitted) in
            [("getinfo", true), ("stop", true), ("help", true), ("publish", false), ("getblock", false)]
        {
            assert_eq!(reach.admits(name), admitted, "{name}");
        }
        let refused = reach.check("publish").unwrap_err();
        assert_eq!(refused.code, Code::NotAllowed);
        assert_eq!(refused.message, "Method publish is not in rpcwhitelist of user eve");
        let refused = reach.check("getblock").unwrap_err();
        assert_eq!(refused.message, "Method getblock is not in rpcallowmethod of this node");
    }
}
