a..b
http://hooks.internal:99/